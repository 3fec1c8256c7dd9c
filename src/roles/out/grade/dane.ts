/** Does what a server shows match its TLSA records? RFC 7671 and, for mail, RFC 7672 section 3. Pure. */

import { createHash, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { FormatError } from "#core/errors.ts";
import { certificateParts, pathLength } from "./certificate-parts.ts";
import type { TlsaRecord } from "./dns-message.ts";
import { type Trouble, trouble } from "./problem.ts";
import type { Shown } from "./starttls.ts";

const daneTa = 2;
const daneEe = 3;
const maxRecordBytes = 8192;
const maxIntermediates = 6;
/** Signatures verified for one server: many certificates of one name must not become many paths. */
const maxSignatures = 40;

/**
 * Critical extensions that we may rely on having been judged: keyUsage (by `checkIssued`), subjectAltName, basicConstraints,
 * extKeyUsage, and certificatePolicies, which no policy of ours asks for. With others, as nameConstraints, a path is refused.
 */
const understood = new Set(["551d0f", "551d11", "551d13", "551d25", "551d20"]);
const serverAuth = "1.3.6.1.5.5.7.3.1";
const anyPurpose = "2.5.29.37.0";

export interface DaneAnswer {
  readonly matched: boolean;
  /** Why not; null for a match. */
  readonly trouble: Trouble | null;
}

/**
 * The records that say something (RFC 7672 section 3.1.3 leaves PKIX-TA and PKIX-EE out): known parameters, data of the right
 * form, and of several digests of one thing the strongest alone (RFC 7671 section 9).
 */
export function usableRecords(records: readonly TlsaRecord[]): TlsaRecord[] {
  const sound = records.filter(isSound);
  const strongest = (record: TlsaRecord): boolean =>
    record.matching !== 1 ||
    !sound.some((other) => other.matching === 2 && other.usage === record.usage && other.selector === record.selector);
  return sound.filter(strongest);
}

/**
 * @param records usable ones, at least one
 * @param names that a certificate may have when its issuer is what matches; the leaf alone needs none (RFC 7672 section 3.1.1)
 * @param now milliseconds
 */
export function matchDane(
  records: readonly TlsaRecord[],
  shown: Shown,
  names: readonly string[],
  now: number,
): DaneAnswer {
  try {
    const found = daneTrouble(records, shown, names, now);
    return { matched: found === null, trouble: found };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { matched: false, trouble: trouble("validation-failure", error.message) };
  }
}

function daneTrouble(
  records: readonly TlsaRecord[],
  shown: Shown,
  names: readonly string[],
  now: number,
): Trouble | null {
  const leaf = shown.leaf;
  if (records.some((record) => record.usage === daneEe && matches(record, leaf))) return null;
  const anchors = records.filter((record) => record.usage === daneTa);
  if (!new Path(anchors, shown, now).reachesAnchor()) {
    return trouble("validation-failure", "the server's certificate matches none of the TLSA records");
  }
  if (!names.some((name) => leaf.checkHost(name, { partialWildcards: false }) !== undefined)) {
    return trouble("certificate-host-mismatch", `the certificate is for another name than "${names[0] ?? ""}"`);
  }
  // A date that can't be read is neither before nor after anything.
  if (!(Date.parse(leaf.validTo) >= now))
    return trouble("certificate-expired", `the certificate ended on ${leaf.validTo}`);
  if (Date.parse(leaf.validFrom) <= now) return null;
  return trouble("validation-failure", `the certificate begins on ${leaf.validFrom}`);
}

function isSound({ usage, selector, matching, data }: TlsaRecord): boolean {
  if ((usage !== daneTa && usage !== daneEe) || selector > 1 || data.length > maxRecordBytes) return false;
  if (matching === 1) return data.length === 32;
  if (matching === 2) return data.length === 64;
  if (matching !== 0) return false;
  try {
    if (selector === 0) return new X509Certificate(data).raw.equals(data);
    return keyOf(data).type === "public";
  } catch {
    return false;
  }
}

function matches({ selector, matching, data }: TlsaRecord, certificate: X509Certificate): boolean {
  const selected = selector === 0 ? certificate.raw : certificateParts(certificate.raw).publicKeyInfo;
  if (matching === 0) return selected.equals(data);
  return createHash(matching === 1 ? "sha256" : "sha512")
    .update(selected)
    .digest()
    .equals(data);
}

/** Searches a chain of valid signatures from the leaf to a certificate or key that a DANE-TA record names. */
class Path {
  readonly #anchors: readonly TlsaRecord[];
  readonly #candidates: readonly X509Certificate[];
  readonly #bareKeys: readonly KeyObject[];
  readonly #leaf: X509Certificate;
  readonly #now: number;
  #signatures = 0;

  constructor(anchors: readonly TlsaRecord[], { leaf, others }: Shown, now: number) {
    const whole = anchors.filter(({ matching }) => matching === 0);
    const published = whole.filter(({ selector }) => selector === 0).map(({ data }) => new X509Certificate(data));
    this.#anchors = anchors;
    this.#candidates = [...others, ...published];
    this.#bareKeys = whole.filter(({ selector }) => selector === 1).map(({ data }) => keyOf(data));
    this.#leaf = leaf;
    this.#now = now;
  }

  reachesAnchor(): boolean {
    return this.#anchors.length > 0 && isServerCertificate(this.#leaf) && this.#extends([this.#leaf]);
  }

  /** @param path from the leaf upwards, each signed by the next */
  #extends(path: readonly X509Certificate[]): boolean {
    const last = path.at(-1);
    if (last === undefined) return false;
    if (this.#bareKeys.some((key) => this.#isSignedBy(last, key))) return true;
    return this.#candidates.some((issuer) => {
      if (path.some((each) => each.fingerprint256 === issuer.fingerprint256) || !last.checkIssued(issuer)) return false;
      if (!this.#mayIssue(issuer, path.length - 1) || !this.#isSignedBy(last, issuer.publicKey)) return false;
      if (this.#anchors.some((record) => matches(record, issuer))) return true;
      return path.length <= maxIntermediates && this.#extends([...path, issuer]);
    });
  }

  #isSignedBy(certificate: X509Certificate, key: KeyObject): boolean {
    this.#signatures += 1;
    if (this.#signatures > maxSignatures || hasWeakSignature(certificate)) return false;
    try {
      return certificate.verify(key);
    } catch {
      // A key of another kind than the signature.
      return false;
    }
  }

  #mayIssue(issuer: X509Certificate, intermediates: number): boolean {
    const isValid = Date.parse(issuer.validFrom) <= this.#now && this.#now <= Date.parse(issuer.validTo);
    if (!issuer.ca || !isValid || !allUnderstood(issuer)) return false;
    const limit = pathLength(certificateParts(issuer.raw));
    return limit === null || intermediates <= limit;
  }
}

function isServerCertificate(leaf: X509Certificate): boolean {
  const purposes: readonly string[] | undefined = leaf.keyUsage;
  const isForServers = purposes === undefined || purposes.includes(serverAuth) || purposes.includes(anyPurpose);
  return isForServers && allUnderstood(leaf);
}

function allUnderstood(certificate: X509Certificate): boolean {
  return certificateParts(certificate.raw).extensions.every(({ id, critical }) => !critical || understood.has(id));
}

function hasWeakSignature(certificate: X509Certificate): boolean {
  return /md[245]|sha-?1(?![0-9])/i.test(certificate.signatureAlgorithm ?? "");
}

function keyOf(publicKeyInfo: Buffer): KeyObject {
  return createPublicKey({ key: publicKeyInfo, format: "der", type: "spki" });
}
