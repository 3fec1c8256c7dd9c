/** The keys that sign mail, on a machine `out`: in an ssh-agent, which signs and gives no key away. */

import { dkimAlgorithms, dkimSecret, dkimSelector } from "#fleet/dkim-state.ts";
import type { FileSpec, ServiceSpec } from "#fleet/machine.ts";
import type { SubmitConfigInput } from "#roles/out/config.ts";
import { publicKey, type RoleView, secret } from "./role.ts";

const folder = "/run/signer";
const agent = `${folder}/agent`;

/** What shoal-submit needs to know of it. */
export function signerConfig(view: RoleView): NonNullable<SubmitConfigInput["dkim"]> {
  const generation = view.keys.dkimGeneration;
  return {
    agent,
    keys: dkimAlgorithms.map((algorithm) => ({
      selector: dkimSelector(generation, algorithm),
      algorithm,
      publicKey: publicKey(view, dkimSecret(generation, algorithm)).split(" ")[1] ?? "",
    })),
  };
}

/** Root alone may read the keys. */
export function signerFiles({ keys }: RoleView): FileSpec[] {
  return dkimAlgorithms.map((algorithm) =>
    secret(keyFile(keys.dkimGeneration, algorithm), dkimSecret(keys.dkimGeneration, algorithm), "root"),
  );
}

/**
 * @param user whom the agent signs for: it answers nobody else but root, who gives it the keys. It keeps programs of that user from
 *   reading its memory, and loads no libraries.
 */
export function signerService({ keys }: RoleView, user: string): ServiceSpec {
  const files = dkimAlgorithms.map((algorithm) => keyFile(keys.dkimGeneration, algorithm));
  const give = [
    `for attempt in $(seq 100); do [ -S ${agent} ] && break; sleep 0.1; done`,
    `SSH_AUTH_SOCK=${agent} ssh-add -q ${files.join(" ")} </dev/null || kill $$`,
  ].join("; ");
  return {
    name: "signer",
    user: "root",
    listens: agent,
    before: [
      ["rm", "-rf", folder],
      ["install", "-d", "-o", user, "-g", user, "-m", "700", folder],
    ],
    command: ["sh", "-c", `{ ${give}; } & exec chpst -u ${user} ssh-agent -D -P none -a ${agent}`],
  };
}

function keyFile(generation: number, algorithm: (typeof dkimAlgorithms)[number]): string {
  return `/etc/shoal/dkim/${dkimSelector(generation, algorithm)}`;
}
