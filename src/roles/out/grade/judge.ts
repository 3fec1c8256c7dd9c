/** From what was seen to a grade: the rules of `docs/formats/grades.md`, and nothing else. Pure. */

import { matchDane } from "./dane.ts";
import type { Problem, Trouble } from "./problem.ts";
import type { ServerView } from "./server-probe.ts";
import type { PolicyInForce } from "./sts-policies.ts";
import { allowsMx } from "./sts-policy.ts";
import { webpkiTrouble } from "./webpki.ts";

export type Grade = "bound" | "valid" | "none";

export interface ServerResult {
  /** The mail server, or `mta-sts.` and the domain; "-" where no server is to blame. */
  readonly mx: string;
  readonly result: "dane" | "mta-sts" | "valid" | Problem;
  /** A sentence without a capital and a period. */
  readonly detail: string;
}

export interface Judgement {
  readonly grade: Grade;
  /** What binds a *bound* domain. */
  readonly by: "dane" | "mta-sts" | null;
  /**
   * True if smtpd, told to check certificates (`relay tls`), delivers, and only to servers that have this grade. False with
   * *bound*: only DANE vouches for the certificates, smtpd would refuse them all.
   */
  readonly enforceable: boolean;
  /** The result that decides. */
  readonly because: ServerResult;
  readonly results: readonly ServerResult[];
}

interface Verdict extends ServerResult {
  /** smtpd, told to check certificates, would deliver here. */
  readonly webpki: boolean;
  /** The domain's own word says that mail must not go here, or its word can't be had. */
  readonly forbidden: boolean;
}

export interface Evidence {
  readonly domain: string;
  /** In the order in which they are to be tried; at least one. */
  readonly views: readonly ServerView[];
  readonly policy: PolicyInForce;
  /** Milliseconds. */
  readonly now: number;
}

export function judge(evidence: Evidence): Judgement {
  const { domain, policy } = evidence;
  const verdicts = evidence.views.map((view) => judgeServer(view, evidence));
  const policyTrouble =
    policy !== null && "problem" in policy
      ? { mx: `mta-sts.${domain}`, result: policy.problem, detail: policy.detail }
      : null;
  const results = [...verdicts.map(({ mx, result, detail }) => ({ mx, result, detail }))];
  if (policyTrouble !== null) results.push(policyTrouble);
  const because = ({ mx, result, detail }: ServerResult): ServerResult => ({ mx, result, detail });
  const none = (reason: ServerResult): Judgement => {
    return { grade: "none", by: null, enforceable: false, because: because(reason), results };
  };

  const forbidden = verdicts.find((verdict) => verdict.forbidden);
  if (forbidden !== undefined) return none(forbidden);
  // smtpd goes to these, and to no other while it checks certificates.
  const strict = verdicts.filter(({ webpki }) => webpki);
  const [first] = strict;
  if (first === undefined) {
    // With unchecked certificates it may go to any server, so every one must be bound, the silent ones too.
    const unbound = verdicts.filter(({ result }) => result !== "dane");
    const worst = unbound.find(({ result }) => result !== "unreachable") ?? unbound[0];
    if (worst !== undefined) return none(worst);
    const [bound] = verdicts;
    if (bound === undefined) throw new Error("a domain without a mail server can't be judged");
    return { grade: "bound", by: "dane", enforceable: false, because: because(bound), results };
  }
  if (strict.every(({ result }) => result === "dane")) {
    return { grade: "bound", by: "dane", enforceable: true, because: because(first), results };
  }
  if (policyTrouble !== null) return none(policyTrouble);
  const merelyValid = strict.find(({ result }) => result === "valid");
  if (merelyValid !== undefined) {
    return { grade: "valid", by: null, enforceable: true, because: because(merelyValid), results };
  }
  const byPolicy = strict.find(({ result }) => result === "mta-sts") ?? first;
  return { grade: "bound", by: "mta-sts", enforceable: true, because: because(byPolicy), results };
}

/** The judgement on a domain of which no mail server is known. */
export function unknownServers({ problem, detail }: Trouble): Judgement {
  const because = { mx: "-", result: problem, detail };
  return { grade: "none", by: null, enforceable: false, because, results: [because] };
}

function judgeServer({ host, tlsa, seen }: ServerView, { domain, policy, now }: Evidence): Verdict {
  const webpki = "problem" in seen ? seen : webpkiTrouble(seen, host);
  const fields = { mx: host, webpki: webpki === null, forbidden: false };
  const bad = ({ problem, detail }: Trouble, forbidden = false): Verdict => {
    return { ...fields, result: problem, detail, forbidden, webpki: fields.webpki && forbidden };
  };
  if (tlsa.kind === "broken") return bad(tlsa.trouble, true);
  const dane =
    tlsa.kind === "usable" && !("problem" in seen)
      ? matchDane(tlsa.records, seen, [tlsa.base, host, domain], now)
      : null;
  if (dane?.matched === true && tlsa.kind === "usable") {
    return { ...fields, result: "dane", detail: `the certificate matches a TLSA record of "${tlsa.base}"` };
  }
  if (dane !== null && dane.trouble !== null) return bad(dane.trouble, fields.webpki);
  const enforced = policy !== null && "mode" in policy && policy.mode === "enforce" ? policy : null;
  if (enforced !== null && !allowsMx(enforced, host)) {
    const detail = `the MTA-STS policy of "${domain}" does not allow the mail server "${host}"`;
    return bad({ problem: "validation-failure", detail }, true);
  }
  if (webpki !== null) {
    const isCertificate = !("problem" in seen);
    if (tlsa.kind !== "unusable" || !isCertificate) return bad(webpki);
    return bad({ problem: "tlsa-invalid", detail: `${tlsa.detail}, and ${webpki.detail}` });
  }
  if (enforced !== null) {
    return {
      ...fields,
      result: "mta-sts",
      detail: `the certificate is valid, and the MTA-STS policy of "${domain}" allows the server`,
    };
  }
  return {
    ...fields,
    result: "valid",
    detail: `the certificate is valid for "${host}"; nothing says that this is the right server`,
  };
}
