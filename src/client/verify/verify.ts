/** `shoal verify` */

import { readableBytes } from "#cli/columns.ts";
import type { OptionValues, Verb } from "#cli/command.ts";
import { complain, Progress, print, say } from "#cli/terminal.ts";
import { visibleJson } from "#cli/visible.ts";
import { isChainId } from "#core/account/chain-id.ts";
import { HostError, PolicyError } from "#core/errors.ts";
import { EXIT, exitStatusOf } from "#host/exit.ts";
import { SftpConnection } from "#host/sftp.ts";
import { explainRefusedLogin } from "../account/check-at-sync.ts";
import { deviceTarget } from "../account/fetch-login.ts";
import { AccountMemory } from "../account/memory.ts";
import type { AddressedProfile } from "../mailbox/auditor.ts";
import { CHOICE_HELP, chooseEntries } from "../mailbox/choose.ts";
import { operatorKeys } from "../mailbox/operator-keys.ts";
import { isAlarming } from "../mailbox/report-proof.ts";
import { readMaildir } from "../maildir-reader.ts";
import { DEFAULT_PROFILE, type Places } from "../places.ts";
import { loadProfile, type Profile } from "../profile.ts";
import { checkBundle } from "./bundle-report.ts";
import { exportBundle } from "./export.ts";
import { readOfflineCopy } from "./offline-copy.ts";
import { operatorKeysIn } from "./operator-file.ts";
import { findingsOf, jsonOf, printReport } from "./report.ts";
import { domainOf, type Verified, verifyCopy, verifyServer } from "./scratch.ts";

export const verifyVerb: Verb = {
  help: `usage: shoal verify [--profile NAME] [--json]
       shoal verify --from DIR [--operator FILE] [--account ID] [--json]
       shoal verify ... --export FILE [--no-mail] [NUMBER|ID|FILE|@NUMBER...]
       shoal verify --bundle FILE [--operator FILE] [--account ID] [--json]

Checks the whole mailbox once more from scratch: every signature of the
account, who may sign for the mail signer, its head, every delivery, every
signed note of removed mail, and every byte of every sealed file. Nothing is
opened and nothing is changed.

  --from DIR       check a copy, as "sftp -r alice@fetch.mail.example.org:/ DIR"
                   makes it, without network
  --export FILE    write a proof of all deliveries, or of those that are named,
                   for others to check
  --no-mail        without the sealed files
  --bundle FILE    check such a proof, without network: all of it holds, or it
                   is refused
  --operator FILE  the operator's key: a public key file, or lines of
                   known_hosts; default: your known_hosts
  --account ID     whose mailbox it has to be, 22 characters; default: the
                   account of the profile
  --profile NAME   profile to use, default "default"
  --json           print one JSON object

${CHOICE_HELP}

Exit status: 0 all holds, 65 the proof is refused, 75 the network failed: try
again, 76 something is wrong with the mailbox.

Example:
  shoal verify
  shoal verify --export lunch.tar 3
  shoal verify --bundle lunch.tar --operator operator.pub
`,
  options: {
    from: { type: "string" },
    export: { type: "string" },
    "no-mail": { type: "boolean" },
    bundle: { type: "string" },
    operator: { type: "string" },
    account: { type: "string" },
    profile: { type: "string" },
    json: { type: "boolean" },
  },
  async run(operands, options) {
    const wanted = checkUsage(operands, options);
    const reader = new Reader(options);
    if (wanted.bundle !== undefined) {
      const account = (await reader.account()) ?? null;
      return await checkBundle(wanted.bundle, (domain) => reader.roots(domain), account, wanted.isJson);
    }
    const isCopy = wanted.from !== undefined;
    const { verified, address, end } = isCopy ? await reader.copy(wanted.from ?? "") : await reader.server();
    try {
      print(
        wanted.isJson ? `${visibleJson(jsonOf(verified, address, isCopy))}\n` : printReport(verified, address, isCopy),
      );
      if (verified.accountError !== undefined) complain("shoal", verified.accountError);
      if (wanted.file !== undefined)
        await reader.writeProof(verified, operands, wanted.file, options["no-mail"] !== true);
      if (verified.accountError !== undefined) return exitStatusOf(verified.accountError);
      const isWrong = verified.withheld.length > 0 || isAlarming(findingsOf(verified.result, isCopy));
      return isWrong ? EXIT.protocol : EXIT.ok;
    } finally {
      end();
    }
  },
};

interface Wanted {
  readonly bundle: string | undefined;
  readonly from: string | undefined;
  readonly file: string | undefined;
  readonly isJson: boolean;
}

function checkUsage(operands: readonly string[], options: OptionValues): Wanted {
  const text = (name: string): string | undefined => {
    const value = options[name];
    return typeof value === "string" ? value : undefined;
  };
  const [bundle, from, file] = [text("bundle"), text("from"), text("export")];
  const usage = (message: string): never => {
    throw new PolicyError("USAGE", message, { hint: "shoal verify --help" });
  };
  if (bundle !== undefined && (from !== undefined || file !== undefined)) {
    usage("--bundle checks a proof that is there: it goes with neither --from nor --export");
  }
  if (operands.length > 0 && file === undefined) usage("mail is named for --export only; all of it is verified always");
  if (options["no-mail"] === true && file === undefined) usage("--no-mail goes with --export only");
  const account = text("account");
  if (account !== undefined && !isChainId(account)) usage(`"${account}" is no account id, expected its 22 characters`);
  if (account !== undefined && bundle === undefined && from === undefined) {
    usage("--account goes with --from and --bundle; the account of a server is that of the profile");
  }
  return { bundle, from, file, isJson: options["json"] === true };
}

/** Who verifies: with a profile, or with an operator's key alone. */
class Reader {
  readonly #options: OptionValues;

  constructor(options: OptionValues) {
    this.#options = options;
  }

  async server(): Promise<{ verified: Verified; address: string; end: () => void }> {
    const { profile, places } = await this.#profile();
    if (!hasAddress(profile)) {
      throw new PolicyError("USAGE", `the profile "${places.name}" says no domain: its server proves nothing`, {
        hint: `add "domain": "example.org" to "${places.profile}" if the server has accounts of their owners`,
      });
    }
    const target = await deviceTarget(profile, places, true);
    if (target === null) throw new HostError("AUTH", "no key of this computer can log in there");
    const progress = new Progress("reading");
    const sftp = await SftpConnection.open(target).catch(async (error: unknown) => {
      throw await explainRefusedLogin(error, profile, places);
    });
    try {
      const verified = await verifyServer(sftp, profile, places, (done, total) => progress.update(done, total));
      return { verified, address: addressOf(profile), end: () => sftp.kill() };
    } catch (error) {
      sftp.kill();
      throw error;
    } finally {
      progress.finish();
    }
  }

  async copy(folder: string): Promise<{ verified: Verified; address: string; end: () => void }> {
    const copy = await readOfflineCopy(folder);
    const domain = domainOf(copy.chain);
    const account = (await this.account()) ?? null;
    const verified = verifyCopy(folder, copy, domain, await this.roots(domain), account);
    if (account === null) {
      say(
        "shoal",
        "no account was named with --account: compare the id with the one that you were given by other means",
      );
    }
    return { verified, address: `an account of ${domain}`, end: () => undefined };
  }

  /** Of the operator, as named or as in known_hosts. */
  async roots(domain: string): Promise<ReadonlySet<string>> {
    const file = this.#options["operator"];
    if (typeof file === "string") return await operatorKeysIn(file, domain);
    const { profile } = await this.#profile();
    return await operatorKeys(profile, domain);
  }

  /** As named, or of the profile; undefined where there is neither. */
  async account(): Promise<string | undefined> {
    const named = this.#options["account"];
    if (typeof named === "string") return named;
    if (this.#options["operator"] !== undefined && this.#options["profile"] === undefined) return undefined;
    const { profile, places } = await this.#profile();
    return (await new AccountMemory(places, profile.domain ?? null).load()).id ?? undefined;
  }

  async writeProof(verified: Verified, named: readonly string[], file: string, withFiles: boolean): Promise<void> {
    const about = await chooseEntries(named, verified.result.live, async () => {
      return await readMaildir((await this.#profile()).profile.maildir);
    });
    const { path, bytes, files } = await exportBundle(verified, about, file, withFiles);
    const what = about.length === 0 ? "all deliveries" : `${about.length} of the deliveries`;
    say(
      "shoal",
      `"${path}" proves ${what}, with ${files} sealed ${files === 1 ? "file" : "files"} (${readableBytes(bytes)})`,
    );
    say(
      "shoal",
      `who has it and the operator's key checks it: shoal verify --bundle FILE --operator KEY --account ${verified.standing.id}`,
    );
  }

  async #profile(): Promise<{ profile: Profile; places: Places }> {
    return await loadProfile(String(this.#options["profile"] ?? DEFAULT_PROFILE));
  }
}

function hasAddress(profile: Profile): profile is AddressedProfile {
  return profile.domain !== undefined;
}

function addressOf({ account, domain }: AddressedProfile): string {
  return `${account}@${domain}`;
}
