/** Writes Content-Transfer-Encodings (RFC 2045 section 6) with CRLF line ends. */

const LINE_CHARACTERS = 76;

/** Lines of 76 characters; no line end behind the last. */
export function encodeBase64Lines(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString("base64").replace(/.{76}(?=.)/g, "$&\r\n"), "latin1");
}

/** CRLF stays a line end; every other CR and LF is encoded. Decoding gives back the bytes. */
export function encodeQuotedPrintable(bytes: Buffer): Buffer {
  const lines = bytes.toString("latin1").split("\r\n").map(encodeLine);
  return Buffer.from(lines.join("\r\n"), "latin1");
}

/** What any mail server takes: quoted-printable where most of it can be read as it is, else base64, which is shorter then. */
export function encodeEightBit(bytes: Buffer): { body: Buffer; encoding: "base64" | "quoted-printable" } {
  let count = 0;
  for (const byte of bytes) if (byte > 0x7f) count += 1;
  return count * 6 <= bytes.length
    ? { body: encodeQuotedPrintable(bytes), encoding: "quoted-printable" }
    : { body: encodeBase64Lines(bytes), encoding: "base64" };
}

function encodeLine(line: string): string {
  const encoded = line.replace(/[^\t -<>-~]|[ \t]$/g, (character) => {
    return `=${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
  });
  if (encoded.length <= LINE_CHARACTERS) return encoded;
  const pieces: string[] = [];
  for (let at = 0; at < encoded.length; ) {
    let end = Math.min(at + LINE_CHARACTERS - 1, encoded.length);
    if (encoded.length - at <= LINE_CHARACTERS) {
      end = encoded.length;
    } else {
      const escape = encoded.lastIndexOf("=", end - 1);
      if (escape > end - 3) end = escape;
    }
    pieces.push(encoded.slice(at, end));
    at = end;
  }
  return pieces.join("=\r\n");
}
