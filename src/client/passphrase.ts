/** The passphrase of a key: from the file that SHOAL_PASSPHRASE_FILE names, or asked on the terminal without echo. */

import { PolicyError } from "#core/errors.ts";
import { readBounded } from "#host/files.ts";

/**
 * @param file the key it is for
 * @throws PolicyError PASSPHRASE when there is nobody to ask
 */
export async function passphraseFor(file: string): Promise<string> {
  const source = process.env["SHOAL_PASSPHRASE_FILE"];
  if (source !== undefined && source !== "") {
    return (await readBounded(source, 4096)).toString("utf8").split(/\r?\n/)[0] ?? "";
  }
  if (process.stdin.isTTY !== true) {
    throw new PolicyError("PASSPHRASE", `"${file}" is protected by a passphrase and there is no terminal to ask on`, {
      hint: "set SHOAL_PASSPHRASE_FILE to the name of a file that holds it",
    });
  }
  return await askHidden(`Passphrase for "${file}": `);
}

const ENTER = new Set(["\r", "\n", "\x04"]);
const ERASE = new Set(["\x7f", "\b"]);

/** Raw mode, so that nothing is echoed; control-C still ends the program. */
async function askHidden(question: string): Promise<string> {
  const { stdin } = process;
  process.stderr.write(question);
  stdin.setRawMode(true);
  stdin.setEncoding("utf8");
  stdin.resume();
  try {
    return await new Promise((resolve, reject) => {
      let typed: string[] = [];
      stdin.on("data", (text: string) => {
        for (const character of text) {
          if (ENTER.has(character)) resolve(typed.join(""));
          else if (character === "\x03") reject(new PolicyError("PASSPHRASE", "no passphrase was given"));
          else if (character === "\x15") typed = [];
          else if (ERASE.has(character)) typed.pop();
          else typed.push(character);
        }
      });
    });
  } finally {
    stdin.removeAllListeners("data");
    stdin.setRawMode(false);
    stdin.pause();
    process.stderr.write("\n");
  }
}
