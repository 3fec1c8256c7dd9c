/** First group of all accounts' users on `out`, and of nobody else's: who gets to shoal-submit's socket. */
export const senders = { name: "senders", gid: 904 } as const;
