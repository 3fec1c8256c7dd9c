/** What `shoal send` is to send: a whole message, or the parts of one. */

import { basename } from "node:path";
import type { OptionValues } from "#cli/command.ts";
import { FormatError, HostError, PolicyError } from "#core/errors.ts";
import { DEFAULT_LIMITS } from "#core/mail/submission/prepare.ts";
import { unixTime } from "#host/clock.ts";
import { readBounded } from "#host/files.ts";
import { valuesOf } from "../new-profile.ts";
import type { Profile } from "../profile.ts";
import { type Attachment, composeMessage } from "./compose-message.ts";
import { type Correspondent, parseCorrespondent } from "./correspondent.ts";

export interface Outgoing {
  readonly message: Buffer;
  readonly envelopeFrom: string | null;
  readonly recipients: readonly string[] | null;
}

const MAKING = ["subject", "body", "attach"];
const MAX_NAME_BYTES = 120;

/** @throws PolicyError USAGE; FormatError RECIPIENT, TOO-LARGE; HostError FILE */
export async function readDraft(
  profile: Profile,
  operands: readonly string[],
  options: OptionValues,
): Promise<Outgoing> {
  const [file = "-", more] = operands;
  if (more !== undefined) {
    throw new PolicyError("USAGE", `expected one file, found "${file}" and "${more}"`, {
      hint: "name recipients with --to",
    });
  }
  const lists = { to: listOf(options, "to"), cc: listOf(options, "cc"), bcc: listOf(options, "bcc") };
  const recipients = [...new Set([...lists.to, ...lists.cc, ...lists.bcc].map(({ address }) => address))];
  const isMade = MAKING.some((name) => options[name] !== undefined);
  if (!isMade) {
    if (file === "-" && process.stdin.isTTY === true && operands.length === 0) {
      throw new PolicyError("USAGE", "expected a message in a file, on standard input, or by --to and --body", {
        hint: '"shoal send --help" shows how',
      });
    }
    const message = await readMessage(file);
    const envelopeFrom =
      options["from"] === undefined ? null : parseCorrespondent(String(options["from"]), "--from").address;
    return { message, envelopeFrom, recipients: recipients.length === 0 ? null : recipients };
  }
  if (operands.length > 0) {
    throw new PolicyError("USAGE", `"${file}" is a whole message: --subject, --body and --attach make another one`);
  }
  if (recipients.length === 0) throw new PolicyError("USAGE", "expected whom it goes to: --to ADDRESS");
  const message = await make(profile, lists, options);
  return { message, envelopeFrom: null, recipients };
}

async function make(
  profile: Profile,
  { to, cc }: { to: readonly Correspondent[]; cc: readonly Correspondent[] },
  options: OptionValues,
): Promise<Buffer> {
  const files = valuesOf(options, "attach");
  if (options["body"] === undefined && files.length === 0) {
    throw new PolicyError("USAGE", "expected a text: --body TEXT, or --body - for standard input");
  }
  const subject = options["subject"] === undefined ? null : String(options["subject"]);
  if (subject !== null && /[\p{Cc}\p{Zl}\p{Zp}]/u.test(subject)) {
    throw new PolicyError("USAGE", `--subject: expected one line, found ${JSON.stringify(subject)}`);
  }
  const body = options["body"] === "-" ? (await readMessage("-")).toString("utf8") : String(options["body"] ?? "");
  const from =
    options["from"] === undefined ? ownAddress(profile) : parseCorrespondent(String(options["from"]), "--from");
  const attachments: Attachment[] = [];
  for (const path of files) attachments.push({ name: nameOf(path), content: await readMessage(path) });
  const message = composeMessage({ from, to, cc, subject, body, attachments, time: unixTime() });
  if (message.length <= DEFAULT_LIMITS.bytes) return message;
  throw new FormatError(
    "TOO-LARGE",
    `the message has ${message.length} bytes, at most ${DEFAULT_LIMITS.bytes} are taken`,
  );
}

/**
 * Whom mail is from that names nobody: the account, with the name that the profile gives it.
 * @throws PolicyError USAGE for a profile without domain
 */
export function ownAddress({ account, domain, displayName }: Profile): Correspondent {
  if (domain !== undefined) return { name: displayName ?? "", address: `${account}@${domain}` };
  throw new PolicyError("USAGE", "the profile does not say what your address is", {
    hint: 'add "domain" to the profile, or name it with --from',
  });
}

function listOf(options: OptionValues, name: string): Correspondent[] {
  return valuesOf(options, name).map((text) => parseCorrespondent(text, `--${name}`));
}

/** Names are shown to people, and mean nothing else. */
function nameOf(path: string): string {
  const name = basename(path);
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(name)) {
    throw new PolicyError(
      "USAGE",
      `--attach: the name ${JSON.stringify(name)} has control characters: rename the file`,
    );
  }
  if (Buffer.byteLength(name) <= MAX_NAME_BYTES) return name;
  throw new PolicyError(
    "USAGE",
    `--attach: the name "${name}" is longer than ${MAX_NAME_BYTES} bytes: rename the file`,
  );
}

/**
 * A file, or with "-" standard input.
 * @throws FormatError TOO-LARGE; HostError FILE
 */
export async function readMessage(file: string): Promise<Buffer> {
  if (file === "-") return await readInput();
  try {
    return await readBounded(file, DEFAULT_LIMITS.bytes);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (cause instanceof FormatError) throw cause;
    if (code === "ENOENT") throw new PolicyError("USAGE", `there is no file "${file}"`, { cause });
    throw new HostError("FILE", `can't read "${file}": ${message}`, { cause });
  }
}

async function readInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin) {
    const data = chunk as Buffer;
    bytes += data.length;
    if (bytes > DEFAULT_LIMITS.bytes) {
      throw new FormatError("TOO-LARGE", `standard input has more than ${DEFAULT_LIMITS.bytes} bytes`);
    }
    chunks.push(data);
  }
  return Buffer.concat(chunks);
}
