/**
 * The bytes of DATA (RFC 5321, section 4.5.2), final dot included: lines that start with a dot get another one, and a
 * message whose last line has no end gets one.
 * @param message CRLF line ends
 */
export function dotStuffed(message: Uint8Array): Buffer {
  const text = Buffer.from(message).toString("latin1");
  const ended = text === "" || text.endsWith("\r\n") ? text : `${text}\r\n`;
  return Buffer.from(`${ended.replaceAll(/(^|\r\n)\./g, "$1..")}.\r\n`, "latin1");
}
