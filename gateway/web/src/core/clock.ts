// The server's time as a page knows it: by what it was told, and by its own steady clock since then.

/** The server's clock less the page's own; null before anything was told. */
export type Ahead = number | null;

/**
 * After the server told its time. It was on its way for a while, so what was told makes the server late, never early:
 * of all that was told on one connection the one that was on its way least counts.
 */
export function heardTime(ahead: Ahead, serverMs: number, nowMs: number): number {
  const told = serverMs - nowMs;
  return ahead === null ? told : Math.max(ahead, told);
}
