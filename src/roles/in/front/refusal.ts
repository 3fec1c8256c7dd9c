/** Ends a client's session: the reply that tells why, after which the connection is closed. */
export class Refusal extends Error {
  /** One reply line without its CRLF, starting with a 4yz or 5yz code. */
  readonly reply: string;

  constructor(reply: string) {
    super(reply);
    this.name = "Refusal";
    this.reply = reply;
  }
}
