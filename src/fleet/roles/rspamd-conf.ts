/** From here on a mail is marked by the header field `X-Spam: yes` and others. */
const markScore = 6;
/** From here on a mail is refused. */
const rejectScore = 30;

/**
 * rspamd's configuration for `spam-in`. Only modules that judge a message by itself, SPF, DKIM and DMARC: block lists,
 * checksum networks and lists fetched from elsewhere would tell others who writes to our users. Nothing is kept:
 * no history, no statistics, no controller. So nothing is greylisted either. And odd form alone refuses no mail: an empty
 * line as the whole message scores 25, a program's report without the usual fields 22.
 */
export function rspamdConf(resolver: string, port: number): string {
  const modules = ["chartable", "dkim", "dmarc", "forged_recipients", "maillist", "once_received", "regexp", "spf"];
  return `options {
  .include "$CONFDIR/options.inc"
  filters = "chartable,dkim,regexp";
  local_addrs = ["127.0.0.0/8"];
  history_rows = 0;
  disable_monitoring = true;
  dns {
    nameserver = ["${resolver}"];
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
  count = 2;
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
