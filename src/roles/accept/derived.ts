/** What a role makes of accounts. */

export interface Derived {
  /** Makes everything anew, and takes away what no account has any more. */
  all(): Promise<void>;
  /** The same for the names that changed. */
  some(names: ReadonlySet<string>): Promise<void>;
  /** Names for which something changes by itself, up to a time in Unix seconds. */
  dueAt(now: number): ReadonlySet<string>;
}
