/**
 * A program of the test internet that runs alone on a machine: mail servers that behave as none should, one for each address.
 * What they are handed they write to a file, a line of JSON for each message.
 */

import { appendFileSync, readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";

export interface OddServer {
  readonly name: string;
  readonly address: string;
  /** Instead of the replies that belong there; a CR LF stands behind each. */
  readonly greeting?: string;
  readonly ehlo?: string;
  readonly starttls?: string;
  readonly rcpt?: string;
  readonly dot?: string;
  /** Says nothing, ever. */
  readonly isSilent?: boolean;
  /** Breaks off after its reply to this. */
  readonly dropsAt?: "dot" | "rcpt";
}

export interface OddServersConfig {
  readonly servers: readonly OddServer[];
  readonly log: string;
}

function converse(socket: Socket, server: OddServer, log: string): void {
  const { name, greeting, ehlo, starttls, rcpt, dot, isSilent, dropsAt } = server;
  socket.on("error", () => socket.destroy());
  if (isSilent === true) return;
  const say = (text: string): void => void socket.write(`${text}\r\n`, "latin1");
  const replies: Readonly<Record<string, string>> = {
    EHLO: ehlo ?? "250-mx.odd.example\r\n250 8BITMIME",
    HELO: "250 mx.odd.example",
    STAR: starttls ?? "500 what",
    MAIL: "250 ok",
    RCPT: rcpt ?? "250 ok",
    DATA: "354 go",
    RSET: "250 ok",
    QUIT: "221 bye",
  };
  let heard = "";
  let isMessage = false;
  const next = (): boolean => {
    const mark = isMessage ? "\r\n.\r\n" : "\r\n";
    const end = heard.indexOf(mark);
    if (end < 0) return false;
    const line = heard.slice(0, end);
    heard = heard.slice(end + mark.length);
    if (isMessage) appendFileSync(log, `${JSON.stringify({ name, message: `${line}\r\n` })}\n`);
    const verb = line.slice(0, 4).toUpperCase();
    say(isMessage ? (dot ?? "250 taken") : (replies[verb] ?? "500 what"));
    if ((isMessage && dropsAt === "dot") || (verb === "RCPT" && dropsAt === "rcpt")) socket.end();
    isMessage = !isMessage && verb === "DATA";
    return true;
  };
  socket.on("data", (bytes: Buffer) => {
    heard += bytes.toString("latin1");
    while (next());
  });
  say(greeting ?? "220 mx.odd.example");
}

function main(file: string): void {
  const { servers, log } = JSON.parse(readFileSync(file, "utf8")) as OddServersConfig;
  appendFileSync(log, "");
  for (const server of servers) createServer((socket) => converse(socket, server, log)).listen(25, server.address);
}

const [, , configFile] = process.argv;
if (import.meta.main && configFile !== undefined) main(configFile);
