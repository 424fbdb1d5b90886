// The sender's own combo: counts only what the server accepted, and knows when its window closes.

export interface Run {
  gift: string;
  /** Combo id of the server, and its running count. */
  id: string;
  count: number;
  endsMs: number;
}

/** After a gift was accepted; a gift outside any combo leaves the run as it is. */
export function counted(
  run: Run | null,
  accepted: { gift: string; combo?: { id: string; count: number } },
  nowMs: number,
  windowMs: number,
): Run | null {
  const { combo, gift } = accepted;
  if (!combo) return run;
  const count = run?.id === combo.id ? Math.max(run.count, combo.count) : combo.count;
  return { gift, id: combo.id, count, endsMs: nowMs + windowMs };
}

/** The run at a time: null once its window has closed. */
export function current(run: Run | null, nowMs: number): Run | null {
  return run !== null && nowMs < run.endsMs ? run : null;
}

/** What is left of the window, from 1 to 0. */
export function left(run: Run, nowMs: number, windowMs: number): number {
  return Math.min(1, Math.max(0, (run.endsMs - nowMs) / windowMs));
}
