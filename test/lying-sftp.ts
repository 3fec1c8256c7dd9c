/**
 * An SFTP server that refuses to open what it lists: `node test/lying-sftp.ts STATUS PATTERN`, in the place of `ssh`. All else is
 * OpenSSH's server.
 */

import { spawn } from "node:child_process";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { REQUEST } from "#host/sftp-packet.ts";

const SERVER = "/usr/lib/openssh/sftp-server";

/** Makes a program for `SshOptions.program` that answers each OPEN of such a path with a status. @param folder where it is made */
export async function lyingProgram(folder: string, status: number, pattern: RegExp): Promise<string> {
  const program = join(folder, `lying-${status}-${Math.random().toString(36).slice(2)}`);
  const run = `exec '${process.execPath}' '${import.meta.filename}' ${status} '${pattern.source}'`;
  await writeFile(program, `#!/bin/sh\n${run}\n`);
  await chmod(program, 0o755);
  return program;
}

function serve(status: number, pattern: RegExp): void {
  const server = spawn(SERVER, { stdio: ["pipe", "inherit", "inherit"] });
  let buffered = Buffer.alloc(0);
  process.stdin.on("data", (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk]);
    while (buffered.length >= 4 && buffered.length >= 4 + buffered.readUInt32BE(0)) {
      const packet = buffered.subarray(0, 4 + buffered.readUInt32BE(0));
      buffered = buffered.subarray(packet.length);
      const isRefused = packet[4] === REQUEST.open && pattern.test(pathIn(packet));
      // Behind what the server still has to say: its answers are written at once, and so is the version before them.
      if (isRefused) setTimeout(() => process.stdout.write(refusal(packet.readUInt32BE(5), status)), 20);
      else server.stdin.write(packet);
    }
  });
  process.stdin.on("end", () => server.stdin.end());
  server.on("exit", () => process.exit(0));
}

function pathIn(packet: Buffer): string {
  return packet.toString("utf8", 13, 13 + packet.readUInt32BE(9));
}

function refusal(id: number, status: number): Buffer {
  const packet = Buffer.alloc(21);
  packet.writeUInt32BE(17);
  packet.writeUInt8(101, 4);
  packet.writeUInt32BE(id, 5);
  packet.writeUInt32BE(status, 9);
  return packet;
}

if (import.meta.main) serve(Number(process.argv[2]), new RegExp(process.argv[3] ?? ""));
