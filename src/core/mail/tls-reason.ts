/** Why mail would travel unprotected, for people: the reasons of RFC 8460 section 4.3, and those of docs/formats/grades.md. */

const WORDS: Readonly<Record<string, string>> = {
  "starttls-not-supported":
    "its mail server offers no encryption; it may never have, or somebody on the way has taken the offer out",
  "certificate-host-mismatch":
    "its mail server shows a certificate for another name; it may be set up wrongly, or be another server",
  "certificate-expired": "the certificate of its mail server is over its time",
  "certificate-not-trusted":
    "nobody that this system trusts has issued the certificate of its mail server; anybody can make such a one",
  "validation-failure":
    "encryption with its mail server fails, or its certificate is not the one that the domain announces",
  "tlsa-invalid": "the domain announces its certificate in DNS (DANE) in a form that can't be used",
  "dnssec-invalid": "the signatures of its answers in DNS are wrong or missing; somebody may have forged them",
  "sts-policy-fetch-error":
    "the domain announces that it takes protected mail only (MTA-STS), and its rules can't be had",
  "sts-policy-invalid": "the domain announces that it takes protected mail only (MTA-STS), and its rules are malformed",
  "sts-webpki-invalid":
    "the machine that should tell the domain's rules for protected mail (MTA-STS) has no valid certificate",
  "no-such-domain": "there is no such domain; look for a slip of the pen",
  "null-mx": "the domain says that it takes no mail",
  "dns-failure": "DNS has no answer about it right now; try again later",
  unreachable: "none of its mail servers answers right now; try again later",
};

/** One sentence about a domain, without its name. */
export function tlsReasonInWords(reason: string): string {
  return Object.hasOwn(WORDS, reason) ? (WORDS[reason] ?? "") : "mail would not travel protected to it";
}
