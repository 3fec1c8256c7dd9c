import { chmod, unlink } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";

/**
 * Listens at a path; what an earlier process left there is replaced. Everyone who gets to the path may connect: the folder
 * says who does.
 */
export async function listenAt(path: string, onConnection: (socket: Socket) => void): Promise<Server> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  const server = createServer(onConnection);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o666);
  return server;
}
