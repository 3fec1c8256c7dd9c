/** What was changed in a message, for its sender. */

/**
 * - `added`: the message had no such field.
 * - `dropped`: is not sent.
 * - `rewritten`: is sent in another form.
 * - `left`: is sent as it is, although it may tell more than the rest.
 */
export type WarningKind = "added" | "dropped" | "left" | "rewritten";

export interface SubmissionWarning {
  readonly kind: WarningKind;
  /** A field, a parameter, or what else it is about; printable ASCII, and never what stood in it. */
  readonly what: string;
  readonly count: number;
}

/** Further kinds of things are counted together. */
export const MAX_WARNINGS = 100;

export class Warnings {
  readonly #counts = new Map<string, { kind: WarningKind; what: string; count: number }>();

  add(kind: WarningKind, what: string): void {
    const isKnown = this.#counts.has(`${kind} ${what}`);
    const subject = isKnown || this.#counts.size < MAX_WARNINGS - 4 ? what : "others";
    const warning = this.#counts.get(`${kind} ${subject}`);
    if (warning === undefined) this.#counts.set(`${kind} ${subject}`, { kind, what: subject, count: 1 });
    else warning.count += 1;
  }

  list(): SubmissionWarning[] {
    return [...this.#counts.values()];
  }
}
