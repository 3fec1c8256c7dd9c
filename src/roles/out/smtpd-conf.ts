/** The configuration of OpenSMTPD 7.6 on machine `out`. */

export interface OutSmtpdOptions {
  /** Name of this machine in greetings and in its Received field. */
  hostname: string;
  /** Mail for this domain goes to {@link inAddresses}. */
  domain: string;
  /** Machines of the fleet that take mail for the domain. */
  inAddresses: readonly string[];
  /** shoal-submit connects here, on 127.0.0.1. */
  ports: { strict: number; anyway: number; dane: number };
  /** Mail for this domain goes to this port on loopback, where `shoalctl dns --check` waits for its own. */
  trial: { domain: string; port: number };
  /** Address that protected mail leaves from. */
  address: string;
  /** Address that mail leaves from which may go unprotected. */
  anywayAddress: string;
  /** Where shoal-submit takes smtpd's notices, on 127.0.0.1. */
  noticesPort: number;
  /** Hours after which a message that can't be delivered goes back to its sender. */
  queueHours: number;
  /** Hours after which a sender hears that a message still waits. */
  warnHours: number;
  /** Largest message as it is handed over. */
  maxMessageBytes: number;
  /** Most recipients of one message. */
  maxRecipients: number;
}

/**
 * smtpd.conf(5). What it makes sure of:
 * - Mail is taken on loopback only, and the port says how it leaves: `strict` over TLS with a certificate that fits, `dane` over
 *   TLS whose certificate only DANE vouches for, `anyway` over TLS where it is offered.
 * - smtpd gives a mail server a pause when it has failed, for all mail that would leave from the same address. So mail that is
 *   sent anyway has an address of its own: it leaves at once where strict mail waits, and the other way round.
 * - Mail for the own domain goes to `in`. What comes by no port is smtpd's own: notices to senders, which shoal-submit rewrites.
 *   A notice to anybody else matches nothing.
 * - DSN is offered on loopback, so that shoal-submit can ask for whole mails in notices (`RET=FULL`).
 * - Messages and envelopes in the queue are encrypted; the key comes on standard input. (`queue encryption` takes its key in
 *   smtpd's grammar and not in its manual.)
 */
export function outSmtpdConf(options: OutSmtpdOptions): string {
  const { hostname, domain, inAddresses, ports, trial, address, anywayAddress } = options;
  const { noticesPort, queueHours, warnHours, maxMessageBytes, maxRecipients } = options;
  // BUG: smtpd sends 8-bit text to servers that don't offer 8BITMIME, where RFC 6152 wants it sent back. We hand it some only in attached
  // messages and parts signed by their sender, and nearly all servers take it.
  // BUG: in the mail that a notice gives back, lines that begin with a dot and go on lack that dot: smtpd forgets to double it.
  // BUG: smtpd makes envelopes durable and not the contents of messages, so a power cut of the host within seconds of an
  // acceptance can lose that mail. Killed processes lose nothing.
  // BUG: smtpd writes a message in clear to a file that it removes a moment later: while it takes it, before it is encrypted,
  // and while it delivers it. Free blocks of the host's disk can hold its text until they are written over.
  // BUG: smtpd delivers a small message empty, or one without its end, when the disk becomes full while it decrypts it. Its queue is
  // stopped within a second of the disk being nearly full (role `out`, queue-guard); a disk that fills faster can cost a message.
  const tags = Object.keys(ports);
  const lines = [
    `smtp max-message-size ${maxMessageBytes}`,
    `smtp limit max-rcpt ${maxRecipients}`,
    "",
    'queue encryption "stdin"',
    `queue ttl ${queueHours}h`,
    `bounce warn-interval ${warnHours}h`,
    "",
    ...Object.entries(ports).map(
      ([tag, port]) => `listen on 127.0.0.1 port ${port} tag ${quoted(tag)} hostname ${quoted(hostname)} mask-src`,
    ),
    "",
    // To this machine itself no session is kept: what a trial listened with is gone a moment later, and mail that is sent into
    // such a session waits for minutes. (Also in the grammar and not in the manual.)
    'mta limit for domain "127.0.0.1" session-keepalive 0',
    "",
    `table home { ${inAddresses.map((one) => quoted(`smtp://${one}:25`)).join(", ")} }`,
    `action "home" relay host <home> helo ${quoted(hostname)}`,
    `action "notices" relay host ${quoted(`smtp+notls://127.0.0.1:${noticesPort}`)} helo ${quoted(hostname)}`,
    `action "trial" relay host ${quoted(`smtp+notls://127.0.0.1:${trial.port}`)} helo ${quoted(hostname)}`,
    `action "strict" relay tls src ${quoted(address)} helo ${quoted(hostname)}`,
    `action "dane" relay tls no-verify src ${quoted(address)} helo ${quoted(hostname)}`,
    `action "anyway" relay src ${quoted(anywayAddress)} helo ${quoted(hostname)}`,
    "",
    ...tags.map((tag) => `match tag ${quoted(tag)} from any for domain ${quoted(domain)} action "home"`),
    `match from local for domain ${quoted(domain)} action "notices"`,
    `match from any for domain ${quoted(trial.domain)} action "trial"`,
    ...tags.map((tag) => `match tag ${quoted(tag)} from any for any action ${quoted(tag)}`),
  ];
  return `${lines.join("\n")}\n`;
}

/** A string of smtpd's grammar; it has no use for quotes, backslashes and line ends. */
function quoted(text: string): string {
  if (!/^[\x20-\x7e]*$/.test(text) || /["\\]/.test(text)) throw new RangeError(`${JSON.stringify(text)} in smtpd.conf`);
  return `"${text}"`;
}
