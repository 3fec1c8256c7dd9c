export interface RspamdOptions {
  /** On loopback. */
  port: number;
  /** Modules besides the rules that look at a message alone. */
  modules: readonly string[];
  /** Those of them that are written in C, which rspamd wants to be told twice. */
  filters: readonly string[];
  /** Null: it asks nobody. */
  resolver: string | null;
  /** From here on a mail is refused. */
  rejectScore: number;
  /** Processes that judge. */
  workers: number;
  /** SPF, DKIM and DMARC say something about mail from private addresses, too. */
  judgesPrivate?: boolean;
}

/** From here on a mail is marked by the header field `X-Spam: yes` and others, where marks are wanted. */
const markScore = 6;

/**
 * rspamd's configuration. Only modules that judge a message by itself, SPF, DKIM and DMARC: block lists, checksum networks and
 * lists fetched from elsewhere would tell others who writes to whom. Nothing is kept: no history, no statistics, no controller.
 * So nothing is greylisted either.
 */
export function rspamdConf({
  port,
  modules,
  filters,
  resolver,
  rejectScore,
  workers,
  judgesPrivate,
}: RspamdOptions): string {
  return `options {
  .include "$CONFDIR/options.inc"
  filters = "${filters.join(",")}";
  local_addrs = ["127.0.0.0/8"];
  history_rows = 0;${judgesPrivate === true ? "\n  check_local = true;" : ""}
  disable_monitoring = true;
  dns {
    nameserver = ["${resolver ?? "127.0.0.1"}"];
    timeout = 1s;
    retransmits = 2;
  }
}
logging {
  type = "console";
  level = "warning";
}
worker "normal" {
  .include "$CONFDIR/worker-normal.inc"
  bind_socket = "127.0.0.1:${port}";
  count = ${workers};
}
lua = "$RULESDIR/rspamd.lua"
.include "$CONFDIR/metrics.conf"
actions {
  reject = ${rejectScore};
  add_header = ${markScore};
}
.include "$CONFDIR/groups.conf"
.include "$CONFDIR/composites.conf"
${modules.map((name) => `.include "$CONFDIR/modules.d/${name}.conf"\n`).join("")}modules {
  path = "\${PLUGINSDIR}";
  fallback_path = "\${SHAREDIR}/lua";
}
`;
}
