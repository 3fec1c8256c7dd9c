/** The tasks of a trial, and their results. What the network does is a result and no error. */

import type { SecureContext } from "node:tls";
import type { Resolver } from "../grade/dns.ts";
import type { MxRecord, RecordData, RecordType } from "../grade/dns-message.ts";
import { Slots } from "../grade/slots.ts";
import { fetchPolicy } from "../grade/sts-fetch.ts";
import type { Signer } from "../signer.ts";
import type {
  FailedResult,
  LookupResult,
  LookupTask,
  PolicyResult,
  PolicyTask,
  TrialResult,
  TrialTask,
} from "./exchange.ts";
import { tryMessage, whyNot } from "./message.ts";
import { trySession } from "./session.ts";
import { openSink, type Sink } from "./sink.ts";

const TASKS_AT_ONCE = 8;
const HTTPS_PORT = 443;
const MAX_ADDRESSES_TRIED = 2;

export interface TrialTools {
  readonly resolver: Resolver;
  readonly context: SecureContext;
  /** Signs as shoal-submit does; null where mail is not signed. */
  readonly signer: Signer | null;
  /** For each task but messages, which wait for smtpd. */
  readonly taskSeconds: number;
}

/** @throws HostError NETWORK when the sink's port is taken */
export async function runTasks(tasks: readonly TrialTask[], tools: TrialTools): Promise<TrialResult[]> {
  const port = tasks.find((task) => task.kind === "message")?.sink.port;
  const sink = port === undefined ? null : await openSink(port);
  try {
    const slots = new Slots(TASKS_AT_ONCE, tasks.length);
    return await Promise.all(tasks.map((task) => slots.run(() => runTask(task, tools, sink))));
  } finally {
    await sink?.close();
  }
}

async function runTask(task: TrialTask, tools: TrialTools, sink: Sink | null): Promise<TrialResult> {
  const signal = AbortSignal.timeout(tools.taskSeconds * 1000);
  try {
    switch (task.kind) {
      case "lookup":
        return await lookUp(task, tools.resolver, signal);
      case "policy":
        return await readPolicy(task, tools, signal);
      case "session":
        return await trySession(task, tools.context, signal);
      case "message":
        if (sink === null) throw new Error("a message without a sink");
        return await tryMessage(task, sink, tools.signer);
      default:
        throw new Error(`no such task: ${JSON.stringify(task)}`);
    }
  } catch (error) {
    const why = whyNot(error);
    if (why === null) throw error;
    return { kind: "failed", why };
  }
}

async function lookUp({ name, type }: LookupTask, resolver: Resolver, signal: AbortSignal): Promise<LookupResult> {
  const found = await resolver.lookup(name, type, signal);
  const kind = "lookup";
  if ("detail" in found) {
    return { kind, outcome: found.outcome, secure: false, canonicalName: name, records: [], why: found.detail };
  }
  const { outcome, secure, canonicalName, records } = found;
  return { kind, outcome, secure, canonicalName, records: records.map(printData), why: "" };
}

function printData(data: RecordData[RecordType]): string {
  if (typeof data === "string") return data;
  if (isMx(data)) return `${data.preference} ${data.exchange}`;
  return `${data.usage} ${data.selector} ${data.matching} ${data.data.toString("hex")}`;
}

function isMx(data: Exclude<RecordData[RecordType], string>): data is MxRecord {
  return "exchange" in data;
}

async function readPolicy(
  { domain }: PolicyTask,
  { resolver, context }: TrialTools,
  signal: AbortSignal,
): Promise<PolicyResult | FailedResult> {
  const name = `mta-sts.${domain}`;
  const found = await resolver.lookup(name, "A", signal);
  if ("detail" in found) return { kind: "failed", why: found.detail };
  let why = `"${name}" has no address`;
  for (const address of found.records.slice(0, MAX_ADDRESSES_TRIED)) {
    const policy = await fetchPolicy({ name, address, port: HTTPS_PORT, context }, signal);
    if ("mode" in policy) return { kind: "policy", ...policy, mx: [...policy.mx] };
    why = policy.detail;
  }
  return { kind: "failed", why };
}
