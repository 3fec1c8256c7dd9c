/**
 * age v1 (C2SP age specification): the one door to sealing and opening. A program that only seals imports `seal.ts` and
 * `recipient.ts` instead: then its bundle holds nothing that reads private keys.
 */

export type { Identity } from "./identity.ts";
export { parseIdentities } from "./identity.ts";
export { open, openStream } from "./open.ts";
export type { Recipient } from "./recipient.ts";
export { parseRecipient } from "./recipient.ts";
export { checkRecipients, seal, sealStream } from "./seal.ts";
