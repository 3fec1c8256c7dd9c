/** Reads what Postfix and Exim write about each try, and lists of their queues. Pure. */

export interface Delivery {
  /** Queue id. */
  id: string;
  to: string;
  status: "sent" | "deferred" | "bounced";
  /** The other side's answer, or the reason why there is none. */
  reason: string;
}

/** Tries in Postfix's log (`to=<…>, …, status=sent (…)`). */
export function postfixDeliveries(log: string): Delivery[] {
  const line = /^.* postfix\/[\w/]+\[\d+\]: (\w+): to=<([^>]*)>, .*status=(sent|deferred|bounced) \((.*)\)$/gm;
  return [...log.matchAll(line)].map(([, id = "", to = "", status, reason = ""]) => ({
    id,
    to,
    status: status as Delivery["status"],
    reason,
  }));
}

const eximStatus = { "=>": "sent", "->": "sent", "==": "deferred", "**": "bounced" } as const;

/** Tries in Exim's main log (spec.txt, chapter 52: `=>` and `->` delivered, `==` deferred, `**` failed). */
export function eximDeliveries(log: string): Delivery[] {
  const line = /^\S+ \S+ (\S+) (=>|->|==|\*\*) (.*)$/gm;
  return [...log.matchAll(line)].map(([, id = "", sign = "", rest = ""]) => {
    const to = /^[^:]*?<([^>]*)>/.exec(rest)?.[1] ?? /^[^\s:]*/.exec(rest)?.[0] ?? "";
    const answer = / C="(.*)"/.exec(rest)?.[1];
    return {
      id,
      to,
      status: eximStatus[sign as keyof typeof eximStatus],
      reason: answer ?? rest,
    };
  });
}

/** Queue ids in the output of `postqueue -j` (one JSON object a line). */
export function postfixQueue(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { queue_id: string }).queue_id);
}

/** Queue ids in the output of `exim -bpr`: age, size, id, sender. */
export function eximQueue(text: string): string[] {
  return [...text.matchAll(/^\s*\d+[smhdw]\s+\S+\s+(\S+)\s/gm)].map(([, id]) => id ?? "");
}
