/**
 * The four kinds of failure that callers treat differently. The exit status follows from the class
 * (`host/exit.ts`); tests assert class and code, never the prose.
 */

/** Bytes are not what they claim to be. */
export type FormatCode =
  | "ADDRESS"
  | "AGE-HEADER"
  | "AGE-STREAM"
  | "APPEND"
  | "BUNDLE"
  | "CHAIN"
  | "CONFIG"
  | "DELETION"
  | "DIRECTORY"
  | "DNS"
  | "ENVELOPES"
  | "FEED"
  | "HEAD"
  | "KEY"
  | "LEDGER"
  | "MEMORY"
  | "RECIPIENT"
  | "SEALED-MAIL"
  | "SFTP"
  | "SIGNED"
  | "SIGNERS"
  | "SMTP"
  | "SSHSIG"
  | "STATE"
  | "STS-POLICY"
  | "STORE"
  | "SUBMISSION"
  | "TAR"
  | "TOO-LARGE";

/** A proof fails: the bytes are well formed and still not to be believed. */
export type VerifyCode =
  | "ACCOUNT"
  | "AGE-MAC"
  | "AGE-PAYLOAD"
  | "CLOCK"
  | "DIGEST"
  | "DOMAIN"
  | "FORK"
  | "HOST-KEY"
  | "HOST-KEY-UNKNOWN"
  | "NAMESPACE"
  | "PASSPHRASE"
  | "PREV"
  | "ROLLBACK"
  | "SIGNATURE"
  | "TIME"
  | "TOUCH"
  | "VERSION";

/** The proof holds and the thing is not allowed. */
export type PolicyCode =
  | "ACCOUNT-REMOVED"
  | "ACCOUNT-TAKEN"
  | "ACCOUNT-UNKNOWN"
  | "ALIAS-LEAK"
  | "FORGED"
  | "FULL"
  | "KEY-MIX"
  | "KEY-TAG"
  | "KEY-TWICE"
  | "NAME"
  | "NAME-TAKEN"
  | "NAME-UNKNOWN"
  | "NO-AUTH-KEY"
  | "NO-IDENTITY"
  | "NO-SEAL-KEY"
  | "PACE"
  | "PASSPHRASE"
  | "POSSESSION"
  | "REFUSED"
  | "SIGNER"
  | "SIGNER-TWICE"
  | "STATUS"
  | "TOO-MANY"
  | "UNAUTHORIZED"
  | "USAGE";

/** The machine failed; a retry may help. AUTH: no key can be used here; LOGIN: the other side takes none of them. */
export type HostCode = "AUTH" | "BUSY" | "DISK" | "EXEC" | "FILE" | "FULL" | "LOGIN" | "NETWORK" | "TIMEOUT";

class CodedError<Code extends string> extends Error {
  readonly code: Code;
  /** What the reader can do next; printed on its own line. */
  readonly hint: string | undefined;

  constructor(code: Code, message: string, options: { cause?: unknown; hint?: string | undefined } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.name = new.target.name;
  }
}

export class FormatError extends CodedError<FormatCode> {}
export class VerifyError extends CodedError<VerifyCode> {}
export class PolicyError extends CodedError<PolicyCode> {}
export class HostError extends CodedError<HostCode> {}
