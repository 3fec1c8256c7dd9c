/** Asks rspamd on machine `spam-out` what it thinks of a message before it leaves (rspamd's HTTP protocol, /checkv2). */

import { request } from "node:http";
import * as v from "valibot";
import { HostError, PolicyError } from "#core/errors.ts";

export interface JudgeOptions {
  /** On 127.0.0.1; behind it an SSH connection leads to rspamd. */
  readonly port: number;
  /** From the question to the whole answer. */
  readonly seconds: number;
}

/** What rspamd is told. */
export interface ToJudge {
  /** Whose rate it counts. */
  readonly account: string;
  readonly envelopeFrom: string;
  readonly recipients: readonly string[];
  readonly message: Buffer;
}

const MAX_ANSWER_BYTES = 1024 * 1024;
const MAX_REASONS = 3;
const MAX_REASON_CHARACTERS = 120;

/** The part of rspamd's answer that counts. */
const answerSchema = v.object({
  action: v.string(),
  symbols: v.optional(
    v.record(v.string(), v.object({ score: v.optional(v.number(), 0), description: v.optional(v.string()) })),
    {},
  ),
  messages: v.optional(v.object({ smtp_message: v.optional(v.string()) }), {}),
});
type Answer = v.InferOutput<typeof answerSchema>;

/** Marks are for a recipient's eyes; what would only get one leaves. */
const FINE: readonly string[] = ["no action", "greylist", "add header", "rewrite subject"];

/** rspamd's names that say nothing to a sender, or of which it has no description. */
const REASONS: Readonly<Record<string, string>> = {
  GTUBE: "it holds the text by which spam filters are tried (GTUBE)",
};

export class SpamJudge {
  readonly #options: JudgeOptions;

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /**
   * Returns when the message may leave; nothing of it is changed.
   * @throws PolicyError REFUSED with the reason, PACE when the account sends too much at a time; HostError when there is no answer
   */
  async judge(mail: ToJudge): Promise<void> {
    const { action, symbols, messages } = await this.#ask(mail);
    if (FINE.includes(action)) return;
    if (action === "reject") {
      throw new PolicyError("REFUSED", `the message looks like spam: ${reasonsOf(symbols)}; nothing was sent`, {
        hint: "if it is none, say it in other words, or ask your operator",
      });
    }
    if (action === "soft reject") {
      const reason = cut(messages.smtp_message ?? "the spam filter wants to see it again later");
      throw new PolicyError("PACE", `${reason}; nothing was sent`, { hint: "try again later" });
    }
    throw new HostError("BUSY", `the spam filter answers "${cut(action)}"; nothing was sent`, {
      hint: "try again later",
    });
  }

  async #ask(mail: ToJudge): Promise<Answer> {
    let text: string;
    try {
      text = await ask(this.#options, mail);
    } catch (cause) {
      const code = cause instanceof HostError ? cause.code : "NETWORK";
      const reason = cause instanceof Error ? ` (${cause.message})` : "";
      throw new HostError(code, `the spam filter is away; nothing was sent${reason}`, {
        cause,
        hint: "try again later",
      });
    }
    const result = v.safeParse(v.pipe(v.string(), v.parseJson(), answerSchema), text);
    if (result.success) return result.output;
    throw new HostError("NETWORK", "the spam filter's answer is not what rspamd says; nothing was sent", {
      hint: "try again later",
    });
  }
}

function ask({ port, seconds }: JudgeOptions, mail: ToJudge): Promise<string> {
  const { account, envelopeFrom, recipients, message } = mail;
  const headers = { From: envelopeFrom, Rcpt: [...recipients], User: account, "Content-Length": message.length };
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(Math.ceil(seconds * 1000));
    const asked = request(
      { host: "127.0.0.1", port, method: "POST", path: "/checkv2", headers, agent: false, signal },
      (answer) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        answer.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > MAX_ANSWER_BYTES) asked.destroy(new HostError("NETWORK", "its answer is too long"));
          else chunks.push(chunk);
        });
        answer.on("error", fail);
        answer.on("end", () => {
          if (answer.statusCode === 200) resolve(Buffer.concat(chunks).toString("utf8"));
          else fail(new HostError("NETWORK", `status ${answer.statusCode}`));
        });
      },
    );
    const fail = (error: Error): void => {
      reject(signal.aborted ? new HostError("TIMEOUT", "it does not answer", { cause: error }) : error);
    };
    asked.on("error", fail);
    asked.end(message);
  });
}

/** The heaviest ones, in words. */
function reasonsOf(symbols: Answer["symbols"]): string {
  const heaviest = Object.entries(symbols)
    .filter(([name, { score }]) => score > 0 || REASONS[name] !== undefined)
    .sort(([, a], [, b]) => b.score - a.score)
    .slice(0, MAX_REASONS);
  if (heaviest.length === 0) return "rspamd says so";
  return heaviest.map(([name, { description }]) => cut(REASONS[name] ?? description ?? name)).join("; ");
}

function cut(text: string): string {
  return text.replace(/[^ -~]/g, "?").slice(0, MAX_REASON_CHARACTERS);
}
