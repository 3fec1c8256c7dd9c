/**
 * Takes a message as its sender hands it in, refuses what is wrong with it, and makes of it what the world gets to see
 * (docs/formats/submission.md, in the order of that page).
 */

import { FormatError, PolicyError } from "#core/errors.ts";
import { type ListedMailbox, parseAddressList } from "./address-list.ts";
import { printAutocrypt } from "./autocrypt.ts";
import { MAX_RECIPIENTS } from "./command.ts";
import { ContentIds } from "./content-ids.ts";
import { parseEnvelopeAddress, printAddress } from "./envelope-address.ts";
import { FieldScanner } from "./field-scanner.ts";
import { printField } from "./folding.ts";
import { checkEncodedWords } from "./hidden-controls.ts";
import { type Account, Identity, placeOf } from "./identity.ts";
import { checkOnce, printPlainFields, warnOfDropped } from "./kept-fields.ts";
import { checkLines } from "./lines.ts";
import { NeutralIds, parseMessageIds, printNeutralId } from "./message-ids.ts";
import { mistake } from "./mistake.ts";
import { printPart } from "./printed-body.ts";
import { cleanReceipt } from "./receipt.ts";
import { checkSignedHeaders } from "./signed-header.ts";
import { parseStrictDate, printDate } from "./strict-date.ts";
import { readStrictHeader, type StrictField } from "./strict-header.ts";
import { readStructure } from "./structure.ts";
import { type SubmissionWarning, Warnings } from "./warnings.ts";

export interface SubmissionLimits {
  /** Of the message with CRLF line ends, before and after the work. */
  readonly bytes: number;
  /** Of the message's header, and of each part's. */
  readonly headerBytes: number;
  /** Different ones, of one message. */
  readonly recipients: number;
}

export const DEFAULT_LIMITS: SubmissionLimits = {
  bytes: 35 * 1024 * 1024,
  headerBytes: 64 * 1024,
  recipients: MAX_RECIPIENTS,
};

export interface SubmissionOptions {
  readonly account: Account;
  /** Of the command (`-f`); null: the address in From. */
  readonly envelopeFrom: string | null;
  /** Of the command; null: those of the header. */
  readonly recipients: readonly string[] | null;
  /** Unix seconds. */
  readonly now: number;
  readonly random: (bytes: number) => Uint8Array;
  /** 32 secret bytes; the same ones keep threads together (docs/formats/submission.md, "Threads"). */
  readonly threadKey: Uint8Array;
  readonly limits?: Partial<SubmissionLimits>;
}

export interface PreparedSubmission {
  readonly envelopeFrom: string;
  /** Each once, in the order of the command or the header. */
  readonly recipients: readonly string[];
  /** CRLF line ends, the last line too. */
  readonly message: Buffer;
  /** With its angle brackets, as sent. */
  readonly messageId: string;
  readonly warnings: readonly SubmissionWarning[];
}

/**
 * @param message LF or CRLF line ends
 * @throws FormatError TOO-LARGE, SUBMISSION (with the number of the line), RECIPIENT; PolicyError FORGED, ALIAS-LEAK,
 * TOO-MANY
 */
export function prepareSubmission(message: Buffer, options: SubmissionOptions): PreparedSubmission {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const { account } = options;
  const warnings = new Warnings();
  checkSize(message, limits);
  const text = checkLines(message);
  checkSize(text, limits);

  const header = readStrictHeader(text, 0, text.length, limits.headerBytes);
  checkOnce(header.fields);
  const fields = new Map(header.fields.map((field) => [field.key, field]));
  const from = parseFrom(fields.get("from"), account);
  const identity = new Identity(account, from.address, placeOf(from.field));
  const lists = parseLists(fields);
  checkSenders(lists, from, identity);
  const envelopeFrom = envelopeSender(options.envelopeFrom, from, identity);
  const recipients = recipientsOf(options.recipients, lists, account.domain, limits);

  const root = readStructure(text, header, limits.headerBytes, warnings);
  checkSignedHeaders(root, identity, warnings);
  const ids = new ContentIds(root, account.domain, options.random);
  for (const id of ids.left) warnings.add("left", `Content-ID ${id}`);
  const tools = { ids, random: options.random, cleanReceipt: (body: Buffer) => cleanReceipt(body, identity, warnings) };
  const content = printPart(root, tools, true);

  const own = ownId(fields.get("message-id"), options, warnings);
  warnOfDropped(header.fields, warnings);
  const lines = [
    printField("Date", printDate(dateOf(fields.get("date"), options.now, warnings))),
    ...["From", "Sender", "Reply-To", "To", "Cc"].map((name) => printAddresses(name, fields)),
    printField("Message-ID", own.id),
    ...["In-Reply-To", "References"].map((name) => printReferences(name, fields, own.neutral)),
    printPlainFields(header.fields, identity, warnings),
    printAddresses("Disposition-Notification-To", fields),
    printAutocrypt(fields.get("autocrypt"), identity, from.address, warnings),
    printMimeVersion(fields, content.fields !== "", warnings),
    content.fields,
    "\r\n",
  ];
  const bytes = Buffer.concat([Buffer.from(lines.join(""), "latin1"), ...content.body]);
  const out = bytes.at(-1) === 0x0a ? bytes : Buffer.concat([bytes, Buffer.from("\r\n")]);
  checkSize(out, limits);
  return { envelopeFrom, recipients, message: out, messageId: own.id, warnings: warnings.list() };
}

function checkSize({ length }: Buffer, { bytes }: SubmissionLimits): void {
  if (length <= bytes) return;
  throw new FormatError("TOO-LARGE", `the message has ${length} bytes: expected at most ${bytes}`);
}

interface From extends ListedMailbox {
  readonly field: StrictField;
}

type Lists = ReadonlyMap<string, { field: StrictField; mailboxes: readonly ListedMailbox[] }>;

function parseFrom(field: StrictField | undefined, { name, domain }: Account): From {
  if (field === undefined) {
    // An account may have several addresses: which one is to be seen is for its owner to say.
    throw new FormatError("SUBMISSION", "no From: expected one", { hint: `add "From: ${name}@${domain}"` });
  }
  const [mailbox, second] = parseAddressList(field, { groups: false });
  if (mailbox === undefined || second !== undefined) throw mistake(field.place, "From: expected one address");
  return { ...mailbox, field };
}

const ADDRESS_FIELDS = [
  ...["sender", "reply-to", "to", "cc", "bcc", "disposition-notification-to"],
  ...["resent-from", "resent-sender", "resent-to", "resent-cc", "resent-bcc"],
];
const SENDER_FIELDS = ["sender", "reply-to", "disposition-notification-to", "resent-from", "resent-sender"];

function parseLists(fields: ReadonlyMap<string, StrictField>): Lists {
  const lists = new Map<string, { field: StrictField; mailboxes: readonly ListedMailbox[] }>();
  for (const key of ADDRESS_FIELDS) {
    const field = fields.get(key);
    if (field === undefined) continue;
    checkEncodedWords(field);
    // RFC 5322 section 3.6.3: only Bcc may be empty.
    const isEmpty = field.value === "" && (key === "bcc" || key === "resent-bcc");
    const mailboxes = isEmpty ? [] : parseAddressList(field, { groups: !SENDER_FIELDS.includes(key) });
    if (key === "sender" && mailboxes.length !== 1) throw mistake(field.place, "Sender: expected one address");
    lists.set(key, { field, mailboxes });
  }
  return lists;
}

function checkSenders(lists: Lists, from: From, identity: Identity): void {
  checkEncodedWords(from.field);
  identity.checkShown(from, from.field);
  for (const key of SENDER_FIELDS) {
    const list = lists.get(key);
    if (list === undefined) continue;
    for (const mailbox of list.mailboxes) {
      identity.check(mailbox.address, placeOf(list.field));
      identity.checkShown(mailbox, list.field);
    }
  }
  for (const key of ["to", "cc"]) {
    const field = lists.get(key)?.field;
    if (field !== undefined) identity.checkText(field.value, placeOf(field));
  }
}

function envelopeSender(given: string | null, from: From, identity: Identity): string {
  if (given === null) return printAddress(from.address);
  const address = parseEnvelopeAddress(given);
  identity.check(address, "-f");
  return printAddress(address);
}

function recipientsOf(
  given: readonly string[] | null,
  lists: Lists,
  domain: string,
  limits: SubmissionLimits,
): string[] {
  const addresses = given === null ? headerRecipients(lists) : given.map(parseEnvelopeAddress);
  const once = new Map<string, string>();
  for (const address of addresses) {
    const text = printAddress(address);
    // How case matters is the receiver's business, and here the receiver is ours.
    const key = address.domain === domain ? text.toLowerCase() : text;
    if (!once.has(key)) once.set(key, text);
  }
  if (once.size === 0) {
    throw new FormatError("RECIPIENT", "no recipients: expected some in To, Cc or Bcc, or in the command");
  }
  if (once.size > limits.recipients) {
    throw new PolicyError("TOO-MANY", `${once.size} recipients: expected at most ${limits.recipients}`, {
      hint: "send it in parts",
    });
  }
  return [...once.values()];
}

/** Of a message that is sent again, those that it is sent to now (RFC 5322 section 3.6.6). */
function headerRecipients(lists: Lists): ListedMailbox["address"][] {
  const isResent = [...lists.keys()].some((key) => key.startsWith("resent-"));
  const prefix = isResent ? "resent-" : "";
  return ["to", "cc", "bcc"].flatMap((key) => {
    return (lists.get(prefix + key)?.mailboxes ?? []).map(({ address }) => address);
  });
}

function dateOf(field: StrictField | undefined, now: number, warnings: Warnings): number {
  if (field !== undefined) return parseStrictDate(field);
  warnings.add("added", "Date");
  return now;
}

function ownId(
  field: StrictField | undefined,
  { account, random, threadKey }: SubmissionOptions,
  warnings: Warnings,
): { id: string; neutral: NeutralIds } {
  const [given, second] = field === undefined ? [] : parseMessageIds(field);
  if (field !== undefined && second !== undefined) throw mistake(field.place, "Message-ID: expected one identifier");
  const neutral = new NeutralIds(account.name, account.domain, threadKey, given);
  if (given === undefined) {
    warnings.add("added", "Message-ID");
    return { id: printNeutralId(Buffer.from(random(16)).toString("hex"), account.domain), neutral };
  }
  const id = neutral.own(given);
  if (id !== given) warnings.add("rewritten", "Message-ID");
  return { id, neutral };
}

function printAddresses(name: string, fields: ReadonlyMap<string, StrictField>): string {
  const field = fields.get(name.toLowerCase());
  return field === undefined ? "" : printField(name, field.value);
}

function printReferences(name: string, fields: ReadonlyMap<string, StrictField>, neutral: NeutralIds): string {
  const field = fields.get(name.toLowerCase());
  if (field === undefined) return "";
  const ids = field.value === "" ? [] : parseMessageIds(field);
  return ids.length === 0 ? "" : printField(name, ids.map((id) => neutral.reference(id)).join(" "));
}

/** Comments in it name the program, so only the number is sent. */
function printMimeVersion(fields: ReadonlyMap<string, StrictField>, isMime: boolean, warnings: Warnings): string {
  const field = fields.get("mime-version");
  if (field === undefined) {
    if (isMime) warnings.add("added", "MIME-Version");
    return isMime ? printField("MIME-Version", "1.0") : "";
  }
  const scanner: FieldScanner = new FieldScanner(field);
  scanner.skip();
  if (scanner.take(/1\.0/y) === undefined) scanner.fail('"1.0"');
  scanner.skip();
  if (!scanner.atEnd) scanner.fail('nothing behind "1.0"');
  return printField("MIME-Version", "1.0");
}
