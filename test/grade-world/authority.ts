/** Certificates of the test internet, made by the openssl program. */

import { createHash, X509Certificate } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./run.ts";

export interface Identity {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  /** PEM of the certificate with those that go with it, as a server shows them. */
  readonly chain: string;
}

interface IdentityOptions {
  readonly name: string;
  /** DNS names in subjectAltName. */
  readonly names?: readonly string[];
  /** Null: self-signed. */
  readonly issuer: Identity | null;
  /** Valid in January 2020, or in January 2040; for 30 days from now unless it is given. */
  readonly when?: "past" | "future";
  /** Of the signature; SHA-256 unless it is given. */
  readonly digest?: string;
  /** Further lines of an extension section. */
  readonly extensions?: readonly string[];
}

export class Authority {
  readonly #folder: string;
  #count = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async authority(name: string, issuer: Identity | null, extensions: readonly string[] = []): Promise<Identity> {
    const basic = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"];
    return await this.identity({ name, issuer, extensions: extensions.length > 0 ? extensions : basic });
  }

  async identity({
    name,
    names = [],
    issuer,
    when,
    extensions = [],
    digest = "sha256",
  }: IdentityOptions): Promise<Identity> {
    this.#count += 1;
    const path = (kind: string): string => join(this.#folder, `${this.#count}.${kind}`);
    const alternative = names.length > 0 ? [`subjectAltName=${names.map((each) => `DNS:${each}`).join(",")}`] : [];
    const section = ["subjectKeyIdentifier=hash", ...alternative, ...extensions].join("\n");
    const config = `[ca]
default_ca=d
[d]
new_certs_dir=${this.#folder}
database=${path("db")}
rand_serial=yes
default_md=${digest}
policy=p
unique_subject=no
[p]
commonName=supplied
[req]
distinguished_name=n
[n]
[x]
${section}
`;
    await writeFile(path("cnf"), config);
    await writeFile(path("db"), "");
    const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path("key")];
    await run("openssl", ["req", "-config", path("cnf"), ...newKey, "-subj", `/CN=${name}`, "-out", path("csr")]);
    let signer = ["-selfsign", "-keyfile", path("key")];
    if (issuer !== null) {
      await writeFile(path("issuer"), issuer.certificate + issuer.key);
      signer = ["-cert", path("issuer"), "-keyfile", path("issuer")];
    }
    const year = when === "past" ? 2020 : 2040;
    const january = ["-startdate", `${year}0101000000Z`, "-enddate", `${year}0201000000Z`];
    const times = when === undefined ? ["-days", "30"] : january;
    const how = ["-batch", "-notext", "-extensions", "x", "-in", path("csr"), "-out", path("pem")];
    await run("openssl", ["ca", "-config", path("cnf"), ...signer, ...times, ...how]);
    const certificate = await readFile(path("pem"), "utf8");
    const key = await readFile(path("key"), "utf8");
    return { certificate, key, chain: certificate + (issuer?.chain ?? "") };
  }
}

/** The data of a TLSA record, as zone files have it: `3 1 1 0a1b…`. */
export function tlsaData(usage: number, selector: number, matching: number, { certificate }: Identity): string {
  const parsed = new X509Certificate(certificate);
  const selected = selector === 0 ? parsed.raw : parsed.publicKey.export({ type: "spki", format: "der" });
  const names = ["", "sha256", "sha512"];
  const hash = names[matching];
  const data = hash === "" || hash === undefined ? selected : createHash(hash).update(selected).digest();
  return `${usage} ${selector} ${matching} ${data.toString("hex")}`;
}
