/** The configuration of OpenSMTPD 7.6 on machine `in`. */

export interface SmtpdConfOptions {
  /** Name of this machine in the greeting and in its Received field. */
  hostname: string;
  /** The only domain that mail is taken for. */
  domain: string;
  /** shoal-front connects here, on 127.0.0.1. */
  frontPort: number;
  /** shoal-courier listens here, on 127.0.0.1. */
  courierPort: number;
  /** Largest message as it arrives. */
  maxMessageBytes: number;
  /** Most recipients of one message. */
  maxRecipients: number;
  /** Base URL of rspamd, such as `http://192.0.2.3:11333`; null to go without. */
  rspamdUrl: string | null;
  /** The command of the seal filter, as a shell takes it. */
  sealCommand: string;
  /** Account that the seal filter runs as. */
  sealUser: string;
}

/**
 * smtpd.conf(5). What it makes sure of:
 * - Every message of the world passes rspamd and then seal; the queue holds what seal hands over.
 * - The one thing done with a message is handing it to the courier. What comes from anywhere else (the local socket, and
 *   with it smtpd's own notices to senders) matches nothing and is refused: once accepted, mail never bounces.
 * - A message stays in the queue for a year rather than to be given up.
 * - The relay's limits are made for one courier on loopback: no pauses between connections, no limit of mails in one.
 *   (`mta limit` is in smtpd's grammar and not in its manual.)
 * - However many messages wait for the courier, `smtpctl schedule all` makes smtpd try all of them: those above
 *   `task-hiwat` would be held back, and then wait as long as if nobody had asked.
 * - The relay has many source addresses. Each second smtpd takes the next one and connects at once if something waits;
 *   when it knows them all and all its connections happen to have closed at the same moment, mail waits for up to 10 s.
 */
export function smtpdConf(options: SmtpdConfOptions): string {
  const { hostname, domain, frontPort, courierPort, maxMessageBytes, maxRecipients, rspamdUrl, sealCommand, sealUser } =
    options;
  const rspamd = rspamdUrl === null ? [] : [`filter "rspamd" proc-exec ${quoted(`filter-rspamd -url ${rspamdUrl}`)}`];
  const chain = rspamdUrl === null ? '"seal"' : '"rspamd", "seal"';
  // BUG: smtpd makes envelopes durable and not the contents of messages, so a power cut of the host within seconds of a 250
  // can lose that mail. Killed processes lose nothing.
  const lines = [
    `smtp max-message-size ${maxMessageBytes}`,
    "smtp limit max-mails 1000000",
    `smtp limit max-rcpt ${maxRecipients}`,
    "",
    "queue ttl 365d",
    "bounce warn-interval 365d",
    "mta max-deferred 1000",
    "mta limit max-conn-per-host 10",
    "mta limit max-conn-per-route 10",
    "mta limit conn-delay-route 0",
    "mta limit conn-delay-relay 0",
    "mta limit reconn-delay-route 0",
    "mta limit session-mail-max 1000000",
    "mta limit task-hiwat 1000000",
    "",
    ...rspamd,
    `filter "seal" proc-exec ${quoted(sealCommand)} user ${quoted(sealUser)}`,
    `filter "inbound" chain { ${chain} }`,
    "",
    `listen on 127.0.0.1 port ${frontPort} proxy-v2 filter "inbound" tag "world" hostname ${quoted(hostname)} mask-src no-dsn`,
    "",
    `table sources { ${sources.map(quoted).join(", ")} }`,
    `action "courier" relay host "smtp+notls://127.0.0.1:${courierPort}" src <sources> helo ${quoted(hostname)}`,
    `match tag "world" from any for domain ${quoted(domain)} action "courier"`,
  ];
  return `${lines.join("\n")}\n`;
}

/** Addresses of loopback, other than the one that programs usually come from. */
const sources = Array.from({ length: 250 }, (_, index) => `127.0.1.${index + 1}`);

/** A string of smtpd's grammar; it has no use for quotes, backslashes and line ends. */
function quoted(text: string): string {
  if (!/^[\x20-\x7e]*$/.test(text) || /["\\]/.test(text)) throw new RangeError(`${JSON.stringify(text)} in smtpd.conf`);
  return `"${text}"`;
}
