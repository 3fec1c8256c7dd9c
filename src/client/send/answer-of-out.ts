/** What the machine `out` answered, as far as it decides what happens next (docs/formats/submission.md, "Answers"). */

import { EXIT } from "#host/exit.ts";

/** A domain that mail would not travel to well: a line of docs/formats/grades.md. */
export interface TlsProblem {
  readonly domain: string;
  readonly reason: string;
  readonly server: string;
}

export type Verdict =
  | { readonly kind: "accepted" }
  /** Nothing is stored: the sender has to decide. */
  | { readonly kind: "unprotected"; readonly problems: readonly TlsProblem[] }
  /** Nothing is stored, and it may be tried again. */
  | { readonly kind: "temporary" }
  /** It has left for some; `notSent` surely lack it, and of `perhaps` nobody knows. */
  | { readonly kind: "partly"; readonly notSent: readonly string[]; readonly perhaps: readonly string[] }
  /** It is not clear whether it has left. */
  | { readonly kind: "unclear" }
  | { readonly kind: "refused" };

/** Only the plain word counts as accepted; for what is not sure to be stored nowhere, nothing is assumed. */
export function judgeAnswer(status: number, text: string): Verdict {
  const objects = objectsOf(text);
  const results = objects.map(({ result }) => result);
  if (status === EXIT.ok) {
    return { kind: /^accepted: /m.test(text) || results.includes("accepted") ? "accepted" : "unclear" };
  }
  if (status !== EXIT.temporary) return { kind: "refused" };
  const some = peopleAt(text, objects, "accepted for", "accepted");
  const perhaps = peopleAt(text, objects, "perhaps sent to", "unknown");
  const notSent = peopleAt(text, objects, "not sent to", "notSent");
  if (some.length > 0 || perhaps.length > 0) return { kind: "partly", notSent, perhaps };
  if (/may have (?:left|been sent)|^accepted/m.test(text) || results.includes("accepted")) return { kind: "unclear" };
  const problems = tlsProblemsOf(text);
  return problems.length > 0 ? { kind: "unprotected", problems } : { kind: "temporary" };
}

const PROBLEM = /^tls-problem ([^ ]{1,255}) ([a-z0-9-]{1,64}) ([^ ]{1,255})(?: .*)?$/;

/** In lines for people, and in `domains` of an object. */
export function tlsProblemsOf(text: string): TlsProblem[] {
  const found = new Map<string, TlsProblem>();
  for (const line of text.split(/\r?\n/)) {
    const [, domain, reason = "", server = ""] = PROBLEM.exec(line) ?? [];
    if (domain !== undefined) found.set(domain, { domain, reason, server });
  }
  for (const { domains } of objectsOf(text)) {
    if (!Array.isArray(domains)) continue;
    for (const { domain, grade, reason, server } of (domains as unknown[]).filter(isObject)) {
      if (grade !== "none" || typeof domain !== "string") continue;
      found.set(domain, {
        domain,
        reason: typeof reason === "string" ? reason : "-",
        server: typeof server === "string" ? server : "-",
      });
    }
  }
  return [...found.values()];
}

function peopleAt(text: string, objects: readonly Record<string, unknown>[], saying: string, key: string): string[] {
  const said = new RegExp(`^${saying}: (.+)$`, "m").exec(text)?.[1]?.trim().split(/ +/) ?? [];
  const listed = objects.flatMap((object) => (Array.isArray(object[key]) ? (object[key] as unknown[]) : []));
  return [...said, ...listed.filter((each) => typeof each === "string")];
}

function objectsOf(text: string): Record<string, unknown>[] {
  return text.split(/\r?\n/).flatMap((line) => {
    if (!line.startsWith("{")) return [];
    try {
      const value: unknown = JSON.parse(line);
      return isObject(value) ? [value] : [];
    } catch {
      // Not for programs, then.
      return [];
    }
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
