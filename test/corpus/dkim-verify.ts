/** Verifies DKIM signatures with an independent implementation: dkimpy, the Debian packages python3-dkim and python3-nacl. */

import { exec } from "#host/exec.ts";

export interface DkimVerdict {
  /** `selector._domainkey.domain` of the key. */
  key: string;
  valid: boolean;
  /** Why not; "" when valid. */
  reason: string;
}

const script = `
import base64, json, sys
import dkim
import nacl.signing
request = json.load(sys.stdin)
records = {name: text.encode("latin-1") for name, text in request["records"].items()}
asked = []
def answer(name, timeout=5):
    asked.append((name.decode() if isinstance(name, bytes) else name).rstrip("."))
    return records.get(asked[-1])
def verdicts(message):
    count = sum(1 for field, _ in message.headers if field.lower() == b"dkim-signature")
    for index in range(count):
        asked.clear()
        try:
            valid = bool(message.verify(idx=index, dnsfunc=answer))
            reason = "" if valid else "the signature does not fit"
        except Exception as error:
            valid, reason = False, str(error)
        yield {"key": asked[-1] if asked else "", "valid": valid, "reason": reason}
messages = (dkim.DKIM(base64.b64decode(message)) for message in request["messages"])
json.dump([list(verdicts(message)) for message in messages], sys.stdout)
`;

/**
 * Verdicts on all signatures of each message, from the top.
 * @param messages LF or CRLF line ends
 * @param records TXT records by name; other names do not exist
 * @throws HostError EXEC when the verifier is missing
 */
export async function dkimVerdicts(
  messages: readonly Uint8Array[],
  records: readonly { name: string; data: string }[],
): Promise<DkimVerdict[][]> {
  const request = {
    messages: messages.map((message) => {
      const wire = Buffer.from(message).toString("latin1").replaceAll(/\r?\n/g, "\r\n");
      return Buffer.from(wire, "latin1").toString("base64");
    }),
    records: Object.fromEntries(records.map(({ name, data }) => [name, data])),
  };
  // The system's own Python: only that one sees the system's packages.
  const { stdout } = await exec("/usr/bin/python3", ["-c", script], {
    input: JSON.stringify(request),
    timeoutSeconds: 60,
  });
  return JSON.parse(stdout.toString("utf8")) as DkimVerdict[][];
}
