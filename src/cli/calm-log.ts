const PERIOD_SECONDS = 10;

/** A log that a flood of messages does not fill: at most `maxLines` in ten seconds, then how many more there were. */
export function calmLog(log: (text: string) => void, maxLines = 40): (text: string) => void {
  let began = performance.now();
  let lines = 0;
  return (text) => {
    const now = performance.now();
    if (now - began > PERIOD_SECONDS * 1000) {
      if (lines > maxLines) log(`${lines - maxLines} more lines were not logged`);
      began = now;
      lines = 0;
    }
    if (++lines <= maxLines) log(text);
  };
}
