/** Which keys may sign heads, and when: `ledger/signers` (docs/formats/mailbox-ledger.md, "Signers"). */

import { LineReader } from "#core/account/lines.ts";
import { type SignedText, splitSigned } from "#core/account/signed-text.ts";
import { FormatError, PolicyError } from "#core/errors.ts";
import { isDomain } from "#core/mail/address.ts";
import { parsePublicKey } from "#core/ssh/public-key.ts";
import { parseSignature, verifySignature } from "#core/ssh/signature.ts";

export const MAX_SIGNERS_BYTES = 65_536;
const VERSION_LINE = "# shoal-mailbox-signers/v1";
const MAX_SIGNERS = 64;
const PRINCIPAL = "ledger";
/** How long a line stays after its end, so that an old head is told from a forged one. */
export const LISTED_AFTER_END_SECONDS = 30 * 86_400;
/** A new key counts from before its list was signed: the ledger's clock may be behind the operator's. */
const VALID_BEFORE_SIGNING_SECONDS = 3600;

export interface Signer {
  /** First and last second of the head times that it may sign, Unix seconds. */
  readonly from: number;
  readonly until: number;
  /** `TYPE BASE64`. */
  readonly key: string;
}

export interface SignerList {
  readonly domain: string;
  /** When it was signed, Unix seconds; a later list has a later time. */
  readonly time: number;
  /** 1 to 64. */
  readonly signers: readonly Signer[];
}

/** Of the operator's signature over the list. */
export function signersNamespace(domain: string): string {
  return `mailbox-signers.v1@${domain}`;
}

/** Of heads. */
export function headNamespace(domain: string): string {
  return `mailbox-head.v1@${domain}`;
}

/**
 * Parses a body, which is an allowed-signers file (ssh-keygen(1)): one byte string for each list.
 * @throws FormatError SIGNERS with the line, KEY, TOO-LARGE
 */
export function parseSigners(body: Uint8Array): SignerList {
  const lines = new LineReader(body, MAX_SIGNERS_BYTES, "SIGNERS", "signers");
  lines.exactly(VERSION_LINE);
  const domain = lines.value("# domain");
  if (!isDomain(domain)) lines.refuse("a domain in lower case");
  const time = lines.number("# time");
  const signers = lines.sorted(PRINCIPAL).map((text) => parseSigner(text, domain, lines));
  lines.end(`"${PRINCIPAL} …" lines, sorted, and nothing else`);
  if (signers.length < 1 || signers.length > MAX_SIGNERS) lines.refuse(`1 to ${MAX_SIGNERS} signers`);
  if (new Set(signers.map(({ key }) => key)).size < signers.length) lines.refuse("each key in one line");
  return { domain, time, signers };
}

function parseSigner(text: string, domain: string, lines: LineReader): Signer {
  const [, namespace, after = "", before = "", key = ""] =
    /^namespaces="([^"]*)",valid-after="([0-9]{14}Z)",valid-before="([0-9]{14}Z)" (\S+ \S+)$/.exec(text) ?? [];
  const from = parseDate(after);
  const until = parseDate(before);
  if (namespace !== headNamespace(domain) || from === null || until === null || until < from) {
    lines.refuse(`'${PRINCIPAL} namespaces="${headNamespace(domain)}",valid-after="…Z",valid-before="…Z" TYPE KEY'`);
  }
  if (parsePublicKey(key).line !== key)
    throw new FormatError("KEY", "a signer's key is not written as type and base64");
  return { from, until, key };
}

/** Of `YYYYMMDDHHMMSSZ`, in UTC; null for what is no date. */
function parseDate(text: string): number | null {
  const seconds = Date.parse(text.replace(/^(....)(..)(..)(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z")) / 1000;
  return Number.isInteger(seconds) && seconds >= 0 && printDate(seconds) === text ? seconds : null;
}

function printDate(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19).replace(/[-:T]/g, "")}Z`;
}

/** The inverse of {@link parseSigners}. @throws what that throws, for what the format can't say */
export function printSigners({ domain, time, signers }: SignerList): Buffer {
  const namespaces = `namespaces="${headNamespace(domain)}"`;
  const lines = signers.map(
    ({ from, until, key }) =>
      `${PRINCIPAL} ${namespaces},valid-after="${printDate(from)}",valid-before="${printDate(until)}" ${key}`,
  );
  const body = Buffer.from([VERSION_LINE, `# domain ${domain}`, `# time ${time}`, ...lines.sort(), ""].join("\n"));
  parseSigners(body);
  return body;
}

/**
 * Verifies a signed list.
 * @param roots keys of the operator that the reader trusts; signatures by others are passed over, one must be by one of these
 * @throws as {@link splitSigned}, {@link parseSignature} and {@link parseSigners}; PolicyError SIGNER; VerifyError NAMESPACE,
 * SIGNATURE, TOUCH; FormatError SIGNERS for another domain
 */
export function verifySigners(bytes: Buffer, domain: string, roots: ReadonlySet<string>): SignerList {
  const signed: SignedText = splitSigned(bytes, MAX_SIGNERS_BYTES);
  const byRoots = signed.signatures.map(parseSignature).filter(({ publicKey }) => roots.has(publicKey.line));
  if (byRoots.length === 0) throw new PolicyError("SIGNER", "signers: not signed by the operator's root key");
  for (const signature of byRoots) verifySignature(signature, signersNamespace(domain), signed.body);
  const list = parseSigners(signed.body);
  if (list.domain !== domain) {
    throw new FormatError("SIGNERS", `signers: the domain is "${list.domain}", expected "${domain}"`);
  }
  return list;
}

/**
 * The list in which a key joins, or stays for longer: others end after the overlap, and leave 30 days after their end.
 * @param list null for the first
 */
export function withNewSigner(
  list: SignerList | null,
  added: { readonly domain: string; readonly key: string; readonly now: number; readonly validForSeconds: number },
  overlapSeconds: number,
): SignerList {
  const { domain, key, now, validForSeconds } = added;
  const before = list?.signers.find((signer) => signer.key === key)?.from ?? now;
  const kept = (list?.signers ?? [])
    .filter((signer) => signer.key !== key && signer.until + LISTED_AFTER_END_SECONDS >= now)
    .map((signer) => ({ ...signer, until: Math.max(signer.from, Math.min(signer.until, now + overlapSeconds)) }));
  const time = Math.max(now, (list?.time ?? 0) + 1);
  return {
    domain,
    time,
    signers: [
      ...kept,
      { from: Math.min(before, now - VALID_BEFORE_SIGNING_SECONDS), until: now + validForSeconds, key },
    ],
  };
}
