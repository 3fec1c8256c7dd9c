/** What flows of mail do: a stranger's session with our port, word by word, and what a person has after a sync. */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { cellPlaces } from "#fleet/cell/places.ts";
import { until } from "#test/until.ts";
import { waitForEmptyQueue } from "#test/world/send.ts";
import type { Stage } from "#test/world/stage.ts";
import { strangers } from "#test/world/world.ts";
import { RawClient } from "./in-raw-client.ts";

export interface RawMail {
  /** Behind `MAIL FROM:`. */
  from: string;
  to: readonly string[];
  /** What goes over the wire behind DATA, final dot included. */
  data: Buffer;
  tls?: boolean;
}

export interface RawAnswers {
  mail: string;
  recipients: string[];
  /** To the final dot; to DATA when that was refused. */
  end: string;
}

/** One session of a host without a name, straight to the port of `in`. */
export async function sendRaw(stage: Stage, { from, to, data, tls = false }: RawMail): Promise<RawAnswers> {
  const client = await RawClient.connect(25, stage.address("in"));
  try {
    assert.match(await client.reply(), /^220 /);
    assert.match(await client.command("EHLO stranger.world.example"), /^250-/);
    if (tls) {
      assert.match(await client.command("STARTTLS"), /^220 /);
      await client.secure();
      assert.match(await client.command("EHLO stranger.world.example"), /^250-/);
    }
    const mail = await client.command(`MAIL FROM:${from}`);
    const recipients: string[] = [];
    for (const address of to) recipients.push(await client.command(`RCPT TO:<${address}>`));
    const go = await client.command("DATA");
    if (!go.startsWith("354")) return { mail, recipients, end: go };
    client.send(data);
    return { mail, recipients, end: await client.reply() };
  } finally {
    client.close();
  }
}

export interface Delivered {
  /** Recipients as the sender named them, in order. */
  addresses: string[];
  /** The file, LF line ends. */
  bytes: Buffer;
}

/** Waits until no mail is on its way: not with the strangers, not in the queue of `in`. */
export async function untilAllArrived(stage: Stage): Promise<void> {
  for (const stranger of strangers) await waitForEmptyQueue(stage.exec, stranger);
  let held = "";
  await until(
    () => `the queue of "in" holds mail: ${held}`,
    async () => {
      const { status, stdout, stderr } = await stage.exec("in", ["smtpctl", "show", "queue"]);
      assert.equal(status, 0, stderr);
      held = stdout.toString("utf8").slice(0, 2000);
      return held === "";
    },
  );
}

/** Syncs once, and gives everything that the person has ever received. */
export async function receivedBy(stage: Stage, person: string): Promise<Delivered[]> {
  const said = await stage.as(person, "shoal sync --json");
  const { failed } = JSON.parse(said.trim().split("\n").at(-1) ?? "") as { failed: unknown[] };
  assert.deepEqual(failed, []);
  const folder = join(cellPlaces(stage.world, "user").keep, `home_${person}`, "Mail/shoal/new");
  const files = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name))));
  return files.map((bytes) => ({ addresses: deliveredTo(bytes), bytes }));
}

/** Addresses of our own block on top of a mail. */
function deliveredTo(bytes: Buffer): string[] {
  const block = bytes.toString("latin1", 0, 100_000).split("\nReceived: ", 1)[0] ?? "";
  return [...block.matchAll(/^Delivered-To: (.*)$/gm)].map(([, address]) => address ?? "");
}
