declare module "bcrypt-pbkdf" {
  /** Fills `out`; gives 0, or -1 if the arguments make no sense. */
  function pbkdf(
    secret: Uint8Array,
    secretBytes: number,
    salt: Uint8Array,
    saltBytes: number,
    out: Uint8Array,
    outBytes: number,
    rounds: number,
  ): 0 | -1;
  const bcryptPbkdf: { pbkdf: typeof pbkdf };
  export default bcryptPbkdf;
}
