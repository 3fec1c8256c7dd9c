/** shoal-submit in this process, fake smtpds behind it, and what the relay script says to it. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SubmitConfig } from "#roles/out/config.ts";
import type { DeskOptions } from "#roles/out/desk.ts";
import type { DomainGrade } from "#roles/out/grade/grader.ts";
import type { Way } from "#roles/out/hand-over.ts";
import { serve } from "#roles/out/serve.ts";
import { type FakeSmtpd, type FakeSmtpdOptions, startFakeSmtpd } from "./fake-smtpd.ts";

export interface SubmitStage {
  readonly folder: string;
  readonly config: SubmitConfig;
  readonly smtpd: Readonly<Record<Way, FakeSmtpd>>;
  readonly log: string[];
  /** Restarts shoal-submit on the same store. */
  restart(): Promise<void>;
  /** Sends a whole submission as the script does. */
  submit(login: string, command: string, message?: Buffer | string): Promise<Answer>;
  stop(): Promise<void>;
}

export interface Answer {
  readonly status: number | null;
  readonly out: string[];
  readonly err: string[];
}

export const END_OF_SUBMISSION = "\0end of submission\n";

/** Grades by name: `none.example` is *none*, `dane.example` is *bound* by DANE alone, every other domain is *valid*. */
export const gradesByName: DeskOptions["grader"] = {
  async grade(domains) {
    return new Map(domains.map((domain) => [domain, gradeOf(domain)]));
  },
};

function gradeOf(domain: string): DomainGrade {
  const mx = `mx.${domain}`;
  if (domain.endsWith("none.example")) {
    const because = { mx, result: "certificate-expired" as const, detail: "expired" };
    return { domain, grade: "none", by: null, enforceable: false, because, results: [because], expires: 0 };
  }
  const isDane = domain === "dane.example";
  const because = { mx, result: isDane ? ("dane" as const) : ("valid" as const), detail: "" };
  const grade = isDane ? ("bound" as const) : ("valid" as const);
  return { domain, grade, by: isDane ? "dane" : null, enforceable: !isDane, because, results: [because], expires: 0 };
}

export interface SubmitStageOptions {
  readonly strict?: FakeSmtpdOptions;
  readonly anyway?: FakeSmtpdOptions;
  readonly config?: Partial<SubmitConfig>;
  readonly limits?: Partial<SubmitConfig["limits"]>;
  readonly grader?: DeskOptions["grader"];
}

export async function startSubmit(options: SubmitStageOptions = {}): Promise<SubmitStage> {
  const folder = await mkdtemp(join(tmpdir(), "shoal-submit-"));
  const smtpd = {
    strict: await startFakeSmtpd(options.strict),
    anyway: await startFakeSmtpd(options.anyway),
    dane: await startFakeSmtpd(),
  };
  const config: SubmitConfig = {
    domain: "example.org",
    hostname: "out.mail.example.org",
    socket: join(folder, "socket"),
    store: join(folder, "limits.db"),
    threadKey: join(folder, "thread-key"),
    resolver: { address: "127.0.0.1", port: 53 },
    allowPrivate: false,
    ownNetworks: [],
    queue: folder,
    smtpd: { strict: smtpd.strict.port, anyway: smtpd.anyway.port, dane: smtpd.dane.port },
    maxMemoryBytes: 512 * 1024 * 1024,
    messageSeconds: 60,
    pauseSeconds: 30,
    replySeconds: 30,
    signSeconds: 10,
    ...options.config,
    limits: {
      messagesPerDay: 1000,
      newRecipientsPerDay: 1000,
      recipients: 100,
      messageBytes: 36_700_160,
      domainsPerHour: 1000,
      ...options.limits,
    },
  };
  await writeFile(config.threadKey, Buffer.alloc(32, 7));
  const log: string[] = [];
  const start = () =>
    serve(
      config,
      (text) => log.push(text),
      (error) => {
        throw error;
      },
      options.grader ?? gradesByName,
    );
  let serving = await start();
  return {
    folder,
    config,
    smtpd,
    log,
    async restart() {
      await serving.stop();
      serving = await start();
    },
    async submit(login, command, message = "") {
      const head = `shoal-submit/v1\nlogin ${login}\ncommand ${Buffer.byteLength(command)}\n${command}`;
      return await say(config.socket, [head, message, END_OF_SUBMISSION]);
    },
    async stop() {
      await serving.stop();
      for (const server of Object.values(smtpd)) await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Sends bytes, ends, and reads an answer. */
export async function say(socketPath: string, pieces: readonly (Buffer | string)[]): Promise<Answer> {
  const bytes = Buffer.concat(pieces.map((piece) => (typeof piece === "string" ? Buffer.from(piece) : piece)));
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ path: socketPath, allowHalfOpen: true }, () => socket.end(bytes));
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("close", () => resolve());
    socket.on("end", () => socket.destroy());
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE" || error.code === "ECONNRESET") resolve();
      else reject(error);
    });
  });
  return parseAnswer(Buffer.concat(chunks).toString("latin1"));
}

function parseAnswer(text: string): Answer {
  const lines = text.split("\n").slice(0, -1);
  const status = /^exit ([0-9]+)$/.exec(lines.pop() ?? "")?.[1];
  const of = (kind: string): string[] =>
    lines.filter((line) => line.startsWith(`${kind} `)).map((line) => line.slice(kind.length + 1));
  return { status: status === undefined ? null : Number(status), out: of("out"), err: of("err") };
}
