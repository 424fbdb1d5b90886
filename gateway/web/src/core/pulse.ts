// Whether the peer of a socket is still there: asked when nothing was heard for a while, given up without an answer.

/** After so long without a frame we ask whether the server is there; in a busy room nobody has to. */
export const QUIET_MS = 4_000;
/** ... and without an answer for so long after that, 15 s in all, the connection is taken for dead. */
export const ANSWER_MS_MAX = 9_000;

export type Beat = "fine" | "ask" | "dead";

/** What is known of the peer: when it was last heard, and since when an answer is due, if one is. */
export interface Pulse {
  heardMs: number;
  askedMs: number | null;
}

/** A socket that is being opened: that it opens is the first answer. */
export function opening(nowMs: number): Pulse {
  return { heardMs: nowMs, askedMs: nowMs };
}

/** A frame came in, whatever it is. It may come in the millisecond of the question. */
export function heard(nowMs: number): Pulse {
  return { heardMs: nowMs, askedMs: null };
}

/** The question was sent. */
export function asked(pulse: Pulse, nowMs: number): Pulse {
  return { ...pulse, askedMs: nowMs };
}

/** What to do now. Measured from the question, not from the last frame: a hidden page's timers may run once a minute. */
export function beat(pulse: Pulse, nowMs: number): Beat {
  if (pulse.askedMs !== null) return nowMs - pulse.askedMs > ANSWER_MS_MAX ? "dead" : "fine";
  return nowMs - pulse.heardMs >= QUIET_MS ? "ask" : "fine";
}
