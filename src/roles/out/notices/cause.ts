/** Why a mail did not arrive, from what smtpd wrote down: its own words, or a reply of the receiving server. Pure. */

export interface Cause {
  /** A word of docs/formats/notice.md. */
  readonly name: string;
  /** RFC 3463. */
  readonly status: string;
  /** A sentence for people, without capital and period. */
  readonly sentence: string;
  /** The receiving server's own words. */
  readonly said: string | null;
}

/** What smtpd says of itself that needs no further look. The rest, `Network error on destination MXs` above all, does. */
const OWN_WORDS: Readonly<Record<string, Omit<Cause, "said">>> = {
  "Domain does not exist": {
    name: "no-such-domain",
    status: "5.1.2",
    sentence: "there is no such domain; look for a slip of the pen",
  },
  "Domain does not accept mail": {
    name: "null-mx",
    status: "5.1.10",
    sentence: "the domain says that it takes no mail",
  },
  "Invalid domain name": { name: "no-such-domain", status: "5.1.2", sentence: "that is no name of a domain" },
  "Connection closed unexpectedly": {
    name: "no-way",
    status: "4.4.2",
    sentence: "its mail server ended the connection before it took the mail",
  },
  "Connection timeout": {
    name: "no-way",
    status: "4.4.2",
    sentence: "its mail server became silent before it took the mail",
  },
  "Bad response: reply code out of range": {
    name: "no-way",
    status: "4.5.0",
    sentence: "its mail server does not answer as mail servers do",
  },
  "Remote host sent too much data": {
    name: "no-way",
    status: "4.5.0",
    sentence: "its mail server does not answer as mail servers do",
  },
  "message too large for peer": {
    name: "too-large",
    status: "5.3.4",
    sentence: "the mail is larger than its mail server takes; send a smaller one",
  },
};

/** First fit counts. RFC 3463 by class and subject, then words that servers use who give no such code. */
const REPLIES: readonly { code: RegExp; name: string; sentence: string }[] = [
  {
    code: /^[45]\.1\.(?:1|3|6|10)$/,
    name: "no-such-user",
    sentence: "there is no such user; its mail server says",
  },
  { code: /^[45]\.2\.2$/, name: "mailbox-full", sentence: "the mailbox is full; its mail server says" },
  { code: /^[45]\.2\.1$/, name: "mailbox-closed", sentence: "the mailbox takes no mail; its mail server says" },
  {
    code: /^5\.(?:2\.3|3\.4)$/,
    name: "too-large",
    sentence: "the mail is larger than its mail server takes; it says",
  },
  { code: /^5\.7\./, name: "refused", sentence: "its mail server does not want this mail, and says" },
];

const PLAIN_WORDS: readonly { words: RegExp; name: string; sentence: string }[] = [
  {
    words: /\b(?:spam|spamhaus|blocked|blacklist|block list|blocklist|reputation|policy)\b/i,
    name: "refused",
    sentence: "its mail server does not want this mail, and says",
  },
  {
    words: /\b(?:quota|mailbox (?:is )?full|full mailbox|insufficient storage)\b/i,
    name: "mailbox-full",
    sentence: "the mailbox is full; its mail server says",
  },
  {
    words: /\b(?:too (?:large|big)|size (?:limit|exceed)|exceeds? .*size)/i,
    name: "too-large",
    sentence: "the mail is larger than its mail server takes; it says",
  },
  {
    words:
      /\b(?:unknown (?:user|recipient|mailbox)|(?:user|recipient|mailbox|address).{0,30}(?:unknown|not found|does not exist|doesn't exist|unavailable)|no such (?:user|recipient|mailbox|address|person)|unrouteable address)\b/i,
    name: "no-such-user",
    sentence: "there is no such user; its mail server says",
  },
];

/** @returns null where smtpd does not know, or does not say: somebody has to look at the domain */
export function causeOf(said: string): Cause | null {
  const own = Object.hasOwn(OWN_WORDS, said) ? OWN_WORDS[said] : undefined;
  if (own !== undefined) return { ...own, said: null };
  const [, reply = "", enhanced = ""] =
    /^([45][0-9]{2})(?![0-9])[ -]?(?:([45]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$))?/.exec(said) ?? [];
  if (reply === "") return null;
  const status = enhanced === "" ? (reply.startsWith("4") ? "4.0.0" : "5.0.0") : enhanced;
  const byCode = REPLIES.find(({ code }) => code.test(enhanced));
  // `5.0.0` is what servers say who do not know better.
  const found =
    enhanced === "" || enhanced.endsWith(".0.0") ? PLAIN_WORDS.find(({ words }) => words.test(said)) : byCode;
  // What may change by itself is no verdict about the mail or its reader, but for a mailbox that is full.
  if (reply.startsWith("4") && found?.name !== "mailbox-full") {
    return { name: "put-off", status, sentence: "its mail server puts it off, and says", said };
  }
  if (found !== undefined) return { name: found.name, status, sentence: found.sentence, said };
  return { name: "refused", status, sentence: "its mail server refuses it, and says", said };
}
