/** What a running machine has of accounts: its own store, and the files that it made of it. */

import { type RecordFrame, toOperator } from "#core/account/feed.ts";
import { HostError } from "#core/errors.ts";
import { execInCell } from "#fleet/cell/cell.ts";
import type { MachineSpec } from "#fleet/machine.ts";
import { acceptConfig, recipientsFile } from "#fleet/roles/accept.ts";
import { accountUsers, type MachineFiles } from "./audit.ts";
import { recordsOf } from "./ledger-machine.ts";
import { readTar } from "./tar.ts";

const MAX_OUTPUT_BYTES = 1024 * 1024 * 1024;
const TIMEOUT_SECONDS = 120;
const keysFolder = "/etc/ssh/authorized_keys/";

/** Everything that shoal-accept has stored there, unverified. @throws HostError EXEC; FormatError FEED */
export async function dumpOf(network: string, machine: string): Promise<RecordFrame[]> {
  const reader = toOperator();
  const bytes = await run(network, machine, ["node", "/usr/lib/shoal/shoal-accept.mjs", "dump", acceptConfig]);
  return recordsOf(reader.push(bytes));
}

/** The files as they are. @throws HostError EXEC; FormatError TAR */
export async function filesOn(network: string, { name, role }: MachineSpec): Promise<MachineFiles> {
  const paths = ["/etc/passwd", keysFolder, ...(role === "in" ? [recipientsFile] : [])];
  const files = readTar(await run(network, name, ["tar", "--format=ustar", "-P", "-cf", "-", ...paths]));
  const textAt = (path: string): string | null =>
    files.find((file) => file.path === path)?.content.toString("latin1") ?? null;
  return {
    users: accountUsers(textAt("/etc/passwd") ?? ""),
    authorizedKeys: new Map(
      files
        .filter(({ path }) => path.startsWith(keysFolder))
        .map(({ path, content }) => [path.slice(keysFolder.length), content.toString("latin1")]),
    ),
    recipients: role === "in" ? textAt(recipientsFile) : null,
  };
}

/** `authorized_keys` of the machine's own users, as they were rendered. */
export function ownKeys(machine: MachineSpec): Map<string, string> {
  return new Map(
    machine.files.flatMap(({ path, content }) =>
      path.startsWith(keysFolder) && "text" in content ? [[path.slice(keysFolder.length), content.text]] : [],
    ),
  );
}

async function run(network: string, machine: string, command: readonly string[]): Promise<Buffer> {
  const options = { maxOutputBytes: MAX_OUTPUT_BYTES, timeoutSeconds: TIMEOUT_SECONDS };
  const { status, stdout, stderr } = await execInCell(network, machine, command, options);
  if (status !== 0)
    throw new HostError("EXEC", `"${machine}" does not show its accounts: ${stderr.trim().slice(-500)}`);
  return stdout;
}
