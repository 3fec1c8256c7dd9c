/**
 * One client from its banner to its end. The session is lock-step: a command is passed on only when the reply to the
 * one before has gone out, whatever the client sent ahead.
 */

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { type Command, declaredBytes, parseCommand } from "../command.ts";
import { isPositive, printReply, type Reply, replyLines } from "../reply.ts";
import { Wire } from "../wire.ts";
import { Backend, BackendLost } from "./backend.ts";
import { readCommandLine } from "./command-line.ts";
import type { Doorway } from "./doorway.ts";
import { type Fault, MessageGuard } from "./message-guard.ts";
import type { Endpoint } from "./proxy-header.ts";
import { Refusal } from "./refusal.ts";

export interface SessionLimits {
  /** Largest message in bytes, as RFC 1870 counts. */
  maxMessageBytes: number;
  /** Time for one whole command, and for the handshake of TLS. */
  commandSeconds: number;
  /** Longest pause within a message. */
  pauseSeconds: number;
  /** Time for one whole message. */
  messageSeconds: number;
  /** How long smtpd may take for a reply. */
  replySeconds: number;
  /** How long to listen on after a last word. */
  lingerSeconds: number;
  /** Commands refused by us or smtpd before we close. */
  maxMistakes: number;
  /** Times that a client may introduce itself, each of which takes a new connection to smtpd. */
  maxHellos: number;
}

export interface SessionServices {
  /** The domain that mail is taken for. */
  domain: string;
  smtpd: Endpoint;
  limits: SessionLimits;
  /** Guards smtpd's short listen queue. */
  doorway: Doorway;
  /** Starts TLS on a connection; resolves after the handshake. */
  startTls(socket: Socket, deadline: number): Promise<TLSSocket>;
}

const unavailable = "421 4.3.0 mail system is away, try again later";
/** The answer to what belongs to a transaction that smtpd went away from. */
const interrupted: Reply = { code: 451, lines: ["451 4.3.0 mail system is away, try again later"] };

export class Session {
  readonly #services: SessionServices;
  readonly #limits: SessionLimits;
  readonly #clientAddress: Endpoint;
  readonly #serverAddress: Endpoint;
  readonly #socket: Socket;
  #client: Wire;
  #tls: { protocol: string; cipher: string } | null = null;
  #backend: Backend | null = null;
  /** The HELO or EHLO that smtpd accepted on the present connection. */
  #hello: string | null = null;
  #inTransaction = false;
  /** smtpd went away from the transaction: nothing of it can be obeyed any more. */
  #isInterrupted = false;
  #mistakes = 0;
  #hellos = 0;

  constructor(socket: Socket, client: Endpoint, server: Endpoint, services: SessionServices) {
    this.#services = services;
    this.#limits = services.limits;
    this.#socket = socket;
    this.#client = new Wire(socket);
    this.#clientAddress = client;
    this.#serverAddress = server;
  }

  /**
   * Serves the client until it or we have had enough; the connection is closed then.
   * @throws Refusal or BackendLost after telling the client; HostError NETWORK or TIMEOUT when the client broke off
   */
  async run(): Promise<void> {
    try {
      await this.#greet();
      for (;;) {
        const line = await readCommandLine(this.#client, this.#commandDeadline());
        if (line === null || !(await this.#obey(parseCommand(line), line))) break;
      }
    } catch (error) {
      this.#dropBackend();
      const lastWord = error instanceof Refusal ? error.reply : error instanceof BackendLost ? unavailable : null;
      if (lastWord !== null) await this.#client.close(`${lastWord}\r\n`, this.#limits.lingerSeconds);
      throw error;
    } finally {
      this.#dropBackend();
      this.#client.destroy();
    }
  }

  async #greet(): Promise<void> {
    const banner = await this.#openBackend();
    await this.#say(banner.lines);
    if (!isPositive(banner)) throw new Refusal(unavailable);
  }

  /** False ends the session. */
  async #obey(command: Command, line: string): Promise<boolean> {
    switch (command.verb) {
      case "QUIT":
        await this.#client.close("221 2.0.0 bye\r\n", this.#limits.lingerSeconds);
        return false;
      case "NOOP":
        // Never passed on: what a NOOP says is how we speak to the seal filter.
        await this.#say(["250 2.0.0 ok"]);
        return true;
      case "EHLO":
      case "HELO":
        await this.#introduce(command);
        return true;
      case "STARTTLS":
        await this.#startTls(command);
        return true;
      case "MAIL":
        await this.#mail(command, line);
        return true;
      case "RCPT":
        if (!/^TO:/i.test(command.argument)) await this.#mistake("501 5.5.4 expected RCPT TO:<address>");
        // The one address that needs no domain (RFC 5321 section 4.5.1); smtpd would put this machine's name there.
        else await this.#pass(line.replace(/^(RCPT[ \t]+TO:[ \t]*<postmaster)(?=>)/i, `$1@${this.#services.domain}`));
        return true;
      case "RSET":
        await this.#reset(command);
        return true;
      case "DATA":
        await this.#data(command);
        return true;
      case "HELP":
        await this.#say(["214 2.0.0 see RFC 5321"]);
        return true;
      case "VRFY":
        await this.#say(["252 2.5.0 no answer; send a message to find out"]);
        return true;
      default:
        await this.#mistake("502 5.5.1 command not known");
        return true;
    }
  }

  /** A repeated EHLO gets a fresh connection: smtpd would refuse it, and would not forget an open transaction. */
  async #introduce(command: Command): Promise<void> {
    if (command.argument === "") return await this.#mistake(`501 5.5.4 ${command.verb} needs a name`);
    this.#hellos += 1;
    if (this.#hellos > this.#limits.maxHellos) throw new Refusal("421 4.7.0 too many greetings");
    if (this.#hello !== null) this.#dropBackend();
    const backend = await this.#backendForHello();
    const hello = `${command.verb} ${command.argument}`;
    const reply = await backend.command(hello);
    if (!isPositive(reply)) {
      this.#dropBackend();
      return await this.#answer(reply);
    }
    this.#hello = hello;
    this.#isInterrupted = false;
    await this.#say(command.verb === "EHLO" ? this.#ehloReply(reply) : reply.lines);
  }

  /** What we and smtpd both can, and no more. */
  #ehloReply(reply: Reply): string[] {
    const greeting = reply.lines[0]?.slice(4) ?? "";
    const keywords = ["8BITMIME", "ENHANCEDSTATUSCODES", `SIZE ${this.#limits.maxMessageBytes}`];
    if (this.#tls === null) keywords.push("STARTTLS");
    return replyLines(250, [greeting, ...keywords]);
  }

  async #startTls(command: Command): Promise<void> {
    if (this.#tls !== null) return await this.#mistake("503 5.5.1 TLS is on already");
    if (this.#hello === null || this.#inTransaction) return await this.#mistake("503 5.5.1 not now");
    if (command.argument !== "") return await this.#mistake("501 5.5.4 STARTTLS takes no argument");
    // What was sent ahead in clear could be somebody else's, to be obeyed as if it had come through TLS.
    if (this.#client.waitingBytes > 0) throw new Refusal("554 5.5.1 bytes after STARTTLS");
    this.#dropBackend();
    this.#hello = null;
    await this.#say(["220 2.0.0 ready to start TLS"]);
    this.#client.detach();
    const secure = await this.#services.startTls(this.#socket, this.#commandDeadline());
    this.#client = new Wire(secure);
    this.#tls = { protocol: secure.getProtocol() ?? "unknown", cipher: secure.getCipher().standardName };
  }

  async #mail(command: Command, line: string): Promise<void> {
    if (!/^FROM:/i.test(command.argument)) return await this.#mistake("501 5.5.4 expected MAIL FROM:<address>");
    const bytes = declaredBytes(command.argument);
    if (bytes === "malformed") return await this.#mistake("501 5.5.4 SIZE is not a number of at most 20 digits");
    if (bytes !== null && bytes > this.#limits.maxMessageBytes) {
      return await this.#say([`552 5.3.4 message larger than ${this.#limits.maxMessageBytes} bytes`]);
    }
    this.#isInterrupted = false;
    const reply = await this.#pass(line);
    if (reply !== null && isPositive(reply)) this.#inTransaction = true;
  }

  async #reset(command: Command): Promise<void> {
    if (command.argument !== "") return await this.#mistake("501 5.5.4 RSET takes no argument");
    const reply = this.#hello === null || this.#backend === null ? interrupted : await this.#ask("RSET");
    // Without smtpd there is nothing to forget.
    if (reply === interrupted) await this.#say(["250 2.0.0 ok"]);
    else await this.#answer(reply);
    this.#isInterrupted = false;
    if (isPositive(reply) || reply === interrupted) this.#inTransaction = false;
  }

  async #data(command: Command): Promise<void> {
    if (command.argument !== "") return await this.#mistake("501 5.5.4 DATA takes no argument");
    if (this.#hello === null) return await this.#mistake("503 5.5.1 EHLO first");
    const go = await this.#ask("DATA");
    // Were the answer no, the lines of a message that was sent without waiting for it would be taken for commands.
    if (this.#client.waitingBytes > 0) throw new Refusal("503 5.5.0 bytes after DATA before the go-ahead");
    const backend = this.#backend;
    if (go.code !== 354 || backend === null) return await this.#answer(go);
    await this.#say(go.lines);
    const fault = await this.#message(backend);
    this.#inTransaction = false;
    if (fault === null) {
      const reply = await backend.reply();
      // smtpd hangs up after 421.
      if (reply.code === 421) throw new Refusal(reply.lines.at(-1) ?? unavailable);
      return await this.#say(reply.lines);
    }
    if (fault.closes) throw new Refusal(fault.reply);
    await this.#say([fault.reply]);
  }

  /** Passes one message on up to its end; on a fault smtpd's connection is dropped and the rest is read for nothing. */
  async #message(backend: Backend): Promise<Fault | null> {
    const { messageSeconds, pauseSeconds, lingerSeconds } = this.#limits;
    const guard = new MessageGuard(this.#limits.maxMessageBytes);
    const end = Date.now() + messageSeconds * 1000;
    let lost: Fault | null = null;
    for (;;) {
      const fault = lost ?? guard.fault;
      const seconds = fault?.closes === true ? lingerSeconds : pauseSeconds;
      const chunk = await this.#client.read(Math.min(end, Date.now() + seconds * 1000)).catch((error: unknown) => {
        // A client that ended its message in a way we don't accept waits for our word: say it.
        if (fault?.closes === true) return null;
        throw error;
      });
      if (chunk === null) return fault ?? { reply: unavailable, closes: true };
      const { bytes, rest } = guard.push(chunk);
      if (guard.fault !== null) this.#dropBackend();
      else if (lost === null) {
        lost = await backend.send(bytes, rest !== null).then(
          () => null,
          (error: unknown) => {
            if (!(error instanceof BackendLost)) throw error;
            this.#dropBackend();
            return { reply: unavailable, closes: true };
          },
        );
      }
      if (rest === null) continue;
      if (rest.length > 0) this.#client.unread(rest);
      return guard.fault ?? lost;
    }
  }

  /** Passes a command on and its reply back; null when there was nobody to pass it to. */
  async #pass(line: string): Promise<Reply | null> {
    if (this.#hello === null) {
      await this.#mistake("503 5.5.1 EHLO first");
      return null;
    }
    const reply = await this.#ask(line.replace(/[ \t]+$/, ""));
    await this.#answer(reply);
    return reply;
  }

  /**
   * smtpd's reply to a command of a transaction. When smtpd is away, goes away, or is about to hang up (421), the
   * transaction fails for now and the session goes on: a sender that had a recipient accepted should hear a no to the
   * message, and not just the end of the connection, which Exim 4.98 takes for a delivery to that recipient.
   */
  async #ask(line: string): Promise<Reply> {
    if (this.#isInterrupted) return interrupted;
    try {
      const backend = await this.#readyBackend();
      const reply = await backend.command(line);
      if (reply.code !== 421) return reply;
    } catch (error) {
      if (!(error instanceof BackendLost) && !(error instanceof Refusal)) throw error;
    }
    this.#dropBackend();
    this.#isInterrupted = true;
    return interrupted;
  }

  /** A connection on which smtpd knows the client's name; made anew when the last one was dropped. */
  async #readyBackend(): Promise<Backend> {
    if (this.#backend !== null) return this.#backend;
    const backend = await this.#backendForHello();
    if (this.#hello !== null && !isPositive(await backend.command(this.#hello))) throw new Refusal(unavailable);
    return backend;
  }

  async #backendForHello(): Promise<Backend> {
    if (this.#backend === null && !isPositive(await this.#openBackend())) throw new Refusal(unavailable);
    if (this.#backend === null) throw new Refusal(unavailable);
    return this.#backend;
  }

  async #openBackend(): Promise<Reply> {
    const { smtpd, doorway } = this.#services;
    const { backend, banner } = await doorway.pass(() =>
      Backend.open(smtpd, this.#clientAddress, this.#serverAddress, this.#limits.replySeconds),
    );
    this.#backend = backend;
    if (this.#tls !== null && isPositive(banner)) {
      await backend.command(`NOOP shoal-tls ${this.#tls.protocol} ${this.#tls.cipher}`);
    }
    return banner;
  }

  #dropBackend(): void {
    this.#backend?.destroy();
    this.#backend = null;
    this.#inTransaction = false;
  }

  async #answer(reply: Reply): Promise<void> {
    if (reply.code === 421) throw new Refusal(reply.lines.at(-1) ?? unavailable);
    // What is refused for now is no mistake of the client's.
    if (reply.code < 500) await this.#say(reply.lines);
    else await this.#mistake(...reply.lines);
  }

  async #mistake(...lines: string[]): Promise<void> {
    this.#mistakes += 1;
    if (this.#mistakes > this.#limits.maxMistakes) throw new Refusal("421 4.7.0 too many mistakes");
    await this.#say(lines);
  }

  async #say(lines: readonly string[]): Promise<void> {
    await this.#client.write(printReply(lines), this.#commandDeadline());
  }

  #commandDeadline(): number {
    return Date.now() + this.#limits.commandSeconds * 1000;
  }
}
