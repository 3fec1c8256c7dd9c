/** Whether a recipient is taken, and what to tell the sender if not. A pure function of what is known at RCPT time. */

import { accountOf, parseAddress } from "#core/mail/address.ts";
import { paddedLength } from "#core/mail/padding.ts";
import type { ListedAccount, Recipients } from "#core/recipients.ts";
import type { Usage } from "#core/usage.ts";

/** Usage that is older may be anything by now. */
export const maxUsageAgeSeconds = 15 * 60;
/** Our block, smtpd's and rspamd's fields, and what a sender may be wrong by. */
const extraBytes = 4096;
/** Of an age file: one stanza (a post-quantum one is the largest) and the tag of one chunk. */
const maxStanzaBytes = 1800;
const chunkBytes = 65_536;
const chunkTagBytes = 16;

export interface Knowledge {
  /** Null when the file of recipients can't be read. */
  accounts: Recipients | null;
  /** Null when usage can't be read. */
  usage: Usage | null;
  /** Unix time in seconds. */
  now: number;
}

export interface Question {
  /** The recipient without angle brackets. */
  address: string;
  /** `SIZE=` of the message; null when the sender did not say. */
  declaredBytes: number | null;
  /** Recipients that get this message already. */
  accepted: readonly ListedAccount[];
}

export interface AdmissionLimits {
  maxMessageBytes: number;
  maxContainerBytes: number;
}

export type Admission = { account: ListedAccount } | { refusal: string };

export function admit(question: Question, knowledge: Knowledge, limits: AdmissionLimits): Admission {
  const { accounts, usage, now } = knowledge;
  if (accounts === null) return { refusal: "451 4.3.0 accounts are not known now, try again later" };
  const name = accountOf(question.address, accounts.domain);
  if (name === null && parseAddress(question.address)?.domain !== accounts.domain) {
    return { refusal: "550 5.7.1 mail for this domain is not taken here" };
  }
  const account = name === null ? undefined : accounts.byName.get(name);
  if (account === undefined) return { refusal: "550 5.1.1 no such mailbox" };
  if (!hasKeys(account)) return { refusal: "450 4.2.1 mailbox takes no mail now, try again later" };
  if (question.accepted.some((other) => other.name === account.name)) return { account };
  if (usage === null || Math.abs(now - usage.time) > maxUsageAgeSeconds) {
    return { refusal: "451 4.3.0 mailbox size is not known now, try again later" };
  }
  const left = account.quotaBytes - (usage.bytesByAccount.get(account.name) ?? 0);
  const wanted = question.declaredBytes === null ? 1 : sealedBytes(question.declaredBytes, account);
  if (wanted > left) return { refusal: "552 5.2.2 mailbox is full" };
  const bytes = question.declaredBytes ?? limits.maxMessageBytes;
  if (containerBytes(bytes, [...question.accepted, account]) > limits.maxContainerBytes) {
    return { refusal: "452 4.5.3 too many recipients for a message of this size" };
  }
  return { account };
}

/** Upper bound of the file that a message of so many bytes becomes. */
export function sealedBytes(messageBytes: number, account: ListedAccount): number {
  const padded = paddedLength(messageBytes + extraBytes);
  return padded + Math.ceil(padded / chunkBytes) * chunkTagBytes + (account.seal.length + 1) * maxStanzaBytes;
}

/** Upper bound of what stands in the queue for it: base64 with line ends. */
export function containerBytes(messageBytes: number, accounts: readonly ListedAccount[]): number {
  const files = accounts.map((account) => Math.ceil((sealedBytes(messageBytes, account) * 4 * 901) / (3 * 900)) + 200);
  return files.reduce((sum, bytes) => sum + bytes, 200);
}

function hasKeys(account: ListedAccount): boolean {
  try {
    return account.recipients().length > 0;
  } catch {
    // Whatever is wrong with a key: no mail may be taken for it, and the sender is told to come back.
    return false;
  }
}
