/**
 * The parts of a certificate (RFC 5280 section 4.1, DER) that Node does not show: the public key exactly as it stands there,
 * and all extensions with their criticality.
 */

import { FormatError } from "#core/errors.ts";

export interface Extension {
  /** The object identifier's bytes in hexadecimal: `551d13` is basicConstraints. */
  readonly id: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

export interface CertificateParts {
  /** The whole SubjectPublicKeyInfo, which TLSA selector 1 is about. */
  readonly publicKeyInfo: Buffer;
  readonly extensions: readonly Extension[];
}

interface Element {
  readonly tag: number;
  /** With tag and length. */
  readonly whole: Buffer;
  readonly content: Buffer;
}

const sequence = 0x30;
const integer = 0x02;
const boolean = 0x01;
const objectId = 0x06;
const octets = 0x04;
const explicitVersion = 0xa0;
const explicitExtensions = 0xa3;

/** @throws FormatError KEY for what is no certificate */
export function certificateParts(der: Buffer): CertificateParts {
  const [certificate] = elements(der);
  const [body] = elements(contentOf(certificate, sequence));
  const fields = elements(contentOf(body, sequence)).filter(({ tag }) => tag !== explicitVersion);
  // serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, then what is optional.
  const publicKeyInfo = fields[5];
  contentOf(publicKeyInfo, sequence);
  const wrapped = fields.find(({ tag }) => tag === explicitExtensions);
  const list = wrapped === undefined ? [] : elements(contentOf(elements(wrapped.content)[0], sequence));
  return {
    publicKeyInfo: publicKeyInfo?.whole ?? Buffer.alloc(0),
    extensions: list.map((each) => readExtension(contentOf(each, sequence))),
  };
}

/**
 * How many CA certificates may stand between this one and the leaf; null for any number.
 * @throws FormatError KEY
 */
export function pathLength({ extensions }: CertificateParts): number | null {
  const constraints = extensions.find(({ id }) => id === "551d13");
  if (constraints === undefined) return null;
  const length = elements(contentOf(elements(constraints.value)[0], sequence)).find(({ tag }) => tag === integer);
  if (length === undefined) return null;
  if (length.content.length !== 1 || length.content.readInt8(0) < 0) throw new FormatError("KEY", "odd path length");
  return length.content.readInt8(0);
}

function readExtension(content: Buffer): Extension {
  const parts = elements(content);
  const id = contentOf(parts[0], objectId).toString("hex");
  const flag = parts[1]?.tag === boolean ? parts[1].content : Buffer.alloc(0);
  return { id, critical: flag.some((byte) => byte !== 0), value: contentOf(parts.at(-1), octets) };
}

function contentOf(element: Element | undefined, tag: number): Buffer {
  if (element?.tag !== tag)
    throw new FormatError("KEY", `a certificate lacks the element of tag ${tag} that belongs there`);
  return element.content;
}

function elements(bytes: Buffer): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at];
    const first = bytes[at + 1];
    if (tag === undefined || first === undefined) throw new FormatError("KEY", "a certificate is cut off");
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    if (first === 0x80 || lengthBytes > 3 || at + 2 + lengthBytes > bytes.length) {
      throw new FormatError("KEY", "a length in a certificate makes no sense");
    }
    const start = at + 2 + lengthBytes;
    const end = start + (lengthBytes === 0 ? first : bytes.readUIntBE(at + 2, lengthBytes));
    if (end > bytes.length) throw new FormatError("KEY", "a certificate is cut off");
    found.push({ tag, whole: bytes.subarray(at, end), content: bytes.subarray(start, end) });
    at = end;
  }
  return found;
}
