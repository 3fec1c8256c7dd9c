import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { PATIENCE_SECONDS } from "#test/until.ts";

/** What a server answers to each line, from the greeting on; ends with QUIT. */
export function smtpDialogue(address: string, port: number, lines: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    const answers: string[] = [];
    const rest = [...lines, "QUIT"];
    let text = "";
    socket.setTimeout(60_000, () => socket.destroy(new Error(`${address}:${port} is silent`)));
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      // A reply's last line has a space behind the code.
      const reply = /^(?:\d{3}-.*\r\n)*\d{3}(?: .*)?\r\n/.exec(text)?.[0];
      if (reply === undefined) return;
      text = text.slice(reply.length);
      answers.push(reply.trimEnd());
      const next = rest.shift();
      if (next !== undefined) socket.write(`${next}\r\n`);
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(answers));
  });
}

/** Waits until a server would take mail for an address. */
export async function untilAccepting(address: string, recipient: string, seconds = PATIENCE_SECONDS): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const dialogue = smtpDialogue(address, 25, ["EHLO probe.world.example", "MAIL FROM:<>", `RCPT TO:<${recipient}>`]);
    const last = await dialogue.then(
      (answers) => answers[3] ?? answers.at(-1) ?? "no answer",
      (error: unknown) => String(error),
    );
    if (last.startsWith("250")) return;
    if (performance.now() > deadline)
      throw new Error(`"${address}" takes no mail for "${recipient}" after ${seconds} s: ${last}`);
    await sleep(100);
  }
}
