/** A real OpenSMTPD 7.6, run for one test. */

import { connect } from "node:net";
import { startInRoot, type TestRoot } from "./in-root.ts";

export interface SmtpdOptions {
  /** smtpd.conf */
  config: string;
  /** A port on 127.0.0.1 that answers once smtpd is up. */
  port: number;
  /** Files of the root: path -> content. */
  files?: Record<string, string>;
  /** A shell script run as root inside before smtpd. */
  before?: string;
}

export class TestSmtpd {
  readonly #root: TestRoot;
  #log = "";

  private constructor(root: TestRoot) {
    this.#root = root;
    for (const stream of [root.child.stdout, root.child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        this.#log += chunk.toString();
      });
    }
  }

  static async start(options: SmtpdOptions): Promise<TestSmtpd> {
    const root = await startInRoot({
      command: ["smtpd", "-d"],
      stdio: ["ignore", "pipe", "pipe"],
      // Changing epoll's mind with each line that passes a filter takes smtpd half its time.
      env: { EVENT_NOEPOLL: "1" },
      files: {
        "/etc/resolv.conf": "",
        "/etc/mailname": "mx.example.org\n",
        "/etc/smtpd.conf": options.config,
        ...options.files,
      },
      before: `mkdir -p -m 711 /var/spool/smtpd\n${options.before ?? ""}`,
    });
    const smtpd = new TestSmtpd(root);
    await smtpd.#answering(options.port);
    return smtpd;
  }

  /** What smtpd and its filters have logged. */
  get log(): string {
    return this.#log;
  }

  get running(): boolean {
    return this.#root.child.exitCode === null && this.#root.child.signalCode === null;
  }

  /** The root of the running smtpd as seen from here. */
  async path(): Promise<string> {
    return await this.#root.path();
  }

  /** Runs a program inside. */
  async run(command: string, ...args: string[]): Promise<string> {
    return await this.#root.run(command, ...args);
  }

  async stop(): Promise<void> {
    await this.#root.stop();
  }

  async #answering(port: number): Promise<void> {
    for (let turn = 0; turn < 1000; turn += 1) {
      if (!this.running) throw new Error(`smtpd ended at once:\n${this.#log}`);
      const there = await new Promise<boolean>((resolve) => {
        const socket = connect(port, "127.0.0.1", () => {
          socket.destroy();
          resolve(true);
        });
        socket.once("error", () => resolve(false));
      });
      if (there) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await this.stop();
    throw new Error(`smtpd does not listen on port ${port}:\n${this.#log}`);
  }
}
