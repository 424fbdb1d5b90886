// When to come back after a connection was lost: full jitter, and never after a code that says so.

const FIRST_MS = 500;
const LONGEST_MS = 8_000;
const TOLD_MS_MAX = 120_000;

/** Whether a client closed with this code may reconnect: 4500-4999 say no. */
export function mayReconnect(code: number): boolean {
  return code < 4500 || code > 4999;
}

/**
 * How long to wait before try number `attempt` (from 0); `random` lies in [0, 1). A server that sent its clients away
 * told each another time, `toldMs`: adding chance to it would only push them together again.
 */
export function delayMs(attempt: number, random: number, toldMs: number | null = null): number {
  if (toldMs !== null) return Math.min(TOLD_MS_MAX, Math.max(0, toldMs));
  return Math.round(random * Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10)));
}
