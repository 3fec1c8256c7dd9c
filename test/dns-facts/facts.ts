/** A fleet's facts that stay the same, for tests of what is published. */

import { parseFleet } from "#fleet/definition/definition.ts";
import { publicHosts } from "#fleet/dns/hosts.ts";
import type { Facts } from "#fleet/dns/records.ts";
import { ownPolicy } from "#fleet/dns/sts-policy.ts";

export const selfSigned = `
-----BEGIN CERTIFICATE-----
MIIBuTCCAV+gAwIBAgIUZBKolcJzKD9+h54PT8zaHUu3DJUwCgYIKoZIzj0EAwIw
IDEeMBwGA1UEAwwVaW4ubWFpbC5zaG9hbC5leGFtcGxlMCAXDTI2MTEyMjA4NDg0
OVoYDzIxMjYxMDI5MDg0ODQ5WjAgMR4wHAYDVQQDDBVpbi5tYWlsLnNob2FsLmV4
YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARfj/9E4p3elOasjODlPY74
SX8fe+K9H5Ao790losdcplDq+X/8VmbAti9EVKbWo1JlROp0Asz0oahTyYLUGi/E
o3UwczAdBgNVHQ4EFgQUOE8u6TaO+QiNUaSdNx3xSrex7bkwHwYDVR0jBBgwFoAU
OE8u6TaO+QiNUaSdNx3xSrex7bkwDwYDVR0TAQH/BAUwAwEB/zAgBgNVHREEGTAX
ghVpbi5tYWlsLnNob2FsLmV4YW1wbGUwCgYIKoZIzj0EAwIDSAAwRQIhAJCV2vyJ
Feni+t4nPo1+W+Oa+A2kegJ5zAx7NqZh/FCLAiAEN6Hv9H/UFfjlnAUvCgdncDnx
oVbnMUAACKgwyCrhGw==
-----END CERTIFICATE-----
`.trimStart();

export const signedByAuthority = `
-----BEGIN CERTIFICATE-----
MIIBMDCB1wIUBc+QLOQBsoxz8+xt1iLTCTIsa/kwCgYIKoZIzj0EAwIwFDESMBAG
A1UEAwwJQXV0aG9yaXR5MCAXDTI2MTEyMjA4NDg0OVoYDzIxMjYxMDI5MDg0ODQ5
WjAgMR4wHAYDVQQDDBVpbi5tYWlsLnNob2FsLmV4YW1wbGUwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAARsxcNd5kEcYOO0KsNcM9uTEmk1s30/5r1oh0GAa4jbzB6/
eD6wKoLiQJxVxUgsTBJgnqMbJar7W1fAe44ZbAnBMAoGCCqGSM49BAMCA0gAMEUC
IQDEtjXNxk1koaLosFY3XYfeozxLnUzt8xPgGgN3SkSiZAIgE0iilBY9XbBq/Qc9
IDCI0LCqek6ZHxkCbCJfkpmxcAU=
-----END CERTIFICATE-----
`.trimStart();

const definition = `
fleet: golden
domain: shoal.example
network: 10.83.0.0/16
resolver: 192.0.2.53
uplink: host
sites:
  alpha: { public-addresses: { in: 192.0.2.17, in-2: 192.0.2.18, fetch: 192.0.2.49, out: 192.0.2.97, out-anyway: 192.0.2.98 } }
live: alpha
directory: DNn7NbmdJHR0fNQCpdtcYw
roles: { in: 2, spam-in: 1, fetch: 1, keys: 1, ledger: 1, out: 1 }
retention-days: 14
limits:
  message: 35 MB
  quota: 100 MB
  recipients: 100
  connections: 500
  connections-per-address: 50
`;

/** @param change of the definition's text */
export function goldenFacts(change: (text: string) => string = (text) => text, certificate = selfSigned): Facts {
  const { domain, ...fleet } = parseFleet(change(definition), "fleet.yaml");
  const hosts = publicHosts({ domain, ...fleet });
  const mx = hosts.filter(({ role }) => role === "in").map(({ hostname }) => hostname);
  return {
    domain,
    hosts,
    certificates: new Map(mx.map((host) => [host, certificate])),
    dkim: [
      { selector: "g1r", txt: `v=DKIM1; k=rsa; p=${"R".repeat(392)}` },
      { selector: "g1e", txt: `v=DKIM1; k=ed25519; p=${"E".repeat(43)}=` },
    ],
    policy: ownPolicy(
      domain,
      mx,
      mx.map(() => certificate),
    ),
  };
}
