/** Stanzas of native recipients, `-> X25519 SHARE` (C2SP age specification, "The X25519 recipient type"). */

import { hkdfSync, type KeyObject } from "node:crypto";
import { decodeBase64Unpadded, encodeBase64Unpadded } from "#core/bytes.ts";
import { FormatError } from "#core/errors.ts";
import { unwrapFileKey, wrapFileKey } from "./file-key.ts";
import type { Stanza } from "./header.ts";
import { ephemeralKey, publicKeyOf, sharedSecret } from "./x25519.ts";

const INFO = "age-encryption.org/v1/X25519";
export const POINT_BYTES = 32;

function wrappingKey(secret: Buffer, share: Buffer, recipient: Buffer): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, Buffer.concat([share, recipient]), INFO, 32));
}

export function wrapX25519(publicKey: KeyObject, recipient: Buffer, fileKey: Buffer): Stanza {
  const { privateKey, point: share } = ephemeralKey();
  const secret = sharedSecret(privateKey, publicKey);
  if (secret === null) throw new FormatError("KEY", "age recipient: the point is of small order");
  return {
    args: ["X25519", encodeBase64Unpadded(share)],
    body: wrapFileKey(fileKey, wrappingKey(secret, share, recipient)),
  };
}

/** The 32 bytes of a stanza's share. @throws FormatError AGE-HEADER */
export function parseShare(text: string | undefined): Buffer {
  const share = text === undefined ? null : decodeBase64Unpadded(text);
  if (share?.length !== POINT_BYTES) throw new FormatError("AGE-HEADER", "age header: a share has not 32 bytes");
  return share;
}

export function smallOrderShare(): FormatError {
  return new FormatError("AGE-HEADER", "age header: a share is a point of small order");
}

export function unwrapX25519(privateKey: KeyObject, recipient: Buffer, { args, body }: Stanza): Buffer | null {
  if (args[0] !== "X25519") return null;
  if (args.length !== 2) throw new FormatError("AGE-HEADER", "age header: an X25519 stanza has not one argument");
  const share = parseShare(args[1]);
  const secret = sharedSecret(privateKey, publicKeyOf(share));
  if (secret === null) throw smallOrderShare();
  return unwrapFileKey(body, wrappingKey(secret, share, recipient));
}
