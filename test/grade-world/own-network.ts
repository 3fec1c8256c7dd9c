/** Puts a test file into a network, mount and process namespace of its own: real ports, and nothing is left behind. */

const marker = "SHOAL_OWN_NETWORK";
/** Looks like the public internet, and is all on this machine. */
const network = "45.45.0.0/16";

/**
 * To be called first thing in a test file: starts the file again inside, in place of this process. Every address of
 * 45.45.0.0/16 is ours there. When the runner ends the test, the kernel ends whatever was started inside.
 */
export function enterOwnNetwork(file: string): void {
  if (process.env[marker] === "1") return;
  if (process.execve === undefined) throw new Error("this Node lacks process.execve");
  const setUp = `ip link set lo up && ip route add local ${network} dev lo && exec "$@"`;
  const inside = ["sh", "-c", setUp, "sh", process.execPath, ...process.execArgv, file];
  const namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const environment = { ...process.env, [marker]: "1" };
  process.execve("/usr/bin/unshare", ["unshare", ...namespaces, ...inside], environment);
}
