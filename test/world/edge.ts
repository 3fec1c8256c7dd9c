/**
 * A program of the test internet that runs alone on a machine, with its configuration in a JSON file: serves MTA-STS policies,
 * one for each host name, and stands between clients and mail servers as somebody who takes STARTTLS out of what they say.
 */

import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { connect, createServer as createTcpServer } from "node:net";

export interface EdgeConfig {
  readonly policies: {
    /** Listens there on port 443. */
    readonly address: string;
    /** PEM files; for all host names. */
    readonly certificate: string;
    readonly key: string;
    /** Host name -> policy. */
    readonly bodies: Readonly<Record<string, string>>;
  };
  readonly strippers: readonly { readonly address: string; readonly server: string }[];
}

function main(file: string): void {
  const { policies, strippers } = JSON.parse(readFileSync(file, "utf8")) as EdgeConfig;
  const tls = { cert: readFileSync(policies.certificate), key: readFileSync(policies.key) };
  createServer(tls, (request, response) => {
    const body = policies.bodies[request.headers.host ?? ""];
    const found = body !== undefined && request.url === "/.well-known/mta-sts.txt";
    response.writeHead(found ? 200 : 404, { "Content-Type": "text/plain" });
    response.end(found ? body : "");
  }).listen(443, policies.address);
  for (const { address, server } of strippers) {
    createTcpServer((client) => {
      const real = connect(25, server);
      client.pipe(real);
      // As some firewalls do it: the same length, and no word that anybody knows.
      real.on("data", (bytes: Buffer) =>
        client.write(bytes.toString("latin1").replaceAll("STARTTLS", "XXXXXXXX"), "latin1"),
      );
      real.on("end", () => client.end());
      for (const socket of [client, real]) {
        socket.on("error", () => {
          client.destroy();
          real.destroy();
        });
      }
    }).listen(25, address);
  }
}

const [, , configFile] = process.argv;
if (import.meta.main && configFile !== undefined) main(configFile);
