/** What `out` has of an account: a user that its devices' keys open, and no folder. */

import { authKeys } from "#core/account/derive.ts";
import type { OutConfig } from "./config.ts";
import type { Place } from "./logins.ts";

/** Every account may send from every such machine; who is suspended, nowhere. */
export function outPlace({ shell, gid }: OutConfig): Place {
  return {
    shell,
    gid,
    has: () => true,
    keys: ({ status }, standing) => ({ lines: status === "suspended" ? [] : authKeys(standing), until: null }),
    makeFolders: () => {},
    chainFile: () => null,
    remove: () => {},
  };
}
