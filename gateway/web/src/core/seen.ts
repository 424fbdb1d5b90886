// Which events were seen: positions in a room's history, so that nothing is shown twice and nothing is skipped.

import type { Events, Event, GiftEvent, Joined, Position, UndoneEvent } from "../wire.ts";

const APART_MAX = 2_000;

/** Everything up to `seq` of `epoch` was shown, and `apart` beyond it. */
export interface Shown extends Position {
  apart: readonly number[];
}

/** Where to begin after entering a room: the stored position when the server goes on from it, else the present. */
export function afterJoined(shown: Shown | null, joined: Joined): Shown {
  // It had no position, or missed too much: of what it missed the newest comes, after this one.
  if (joined.resumed_from !== undefined) {
    const { epoch, seq } = joined.resumed_from;
    return { epoch, seq, apart: shown?.epoch === epoch ? shown.apart.filter((known) => known > seq) : [] };
  }
  if (shown !== null && joined.recovered && joined.epoch === shown.epoch) return shown;
  return { epoch: joined.epoch, seq: joined.seq, apart: [] };
}

/**
 * How many places of the history the server passed over, since it was too much or too old: what lies there is never
 * shown. None where it went on from where it was asked to, or was not asked; null where nobody can count them.
 */
export function leftOut(shown: Shown | null, joined: Joined): number | null {
  if (joined.recovered || (shown === null && joined.resumed_from === undefined)) return 0;
  const from = joined.resumed_from ?? joined;
  return shown !== null && shown.epoch === from.epoch ? Math.max(0, from.seq - shown.seq) : null;
}

/** What has a place in the history: a gift, or that one was taken back. */
export type Placed = GiftEvent | UndoneEvent;

export const isPlaced = (event: Event): event is Placed => event.kind === "gift" || event.kind === "undone";

/** Events of a message that were not shown yet, in order. Those without a place in the history are passed over. */
export function fresh(shown: Shown, message: Events): Placed[] {
  const placed = message.events.filter(isPlaced);
  if (message.epoch !== shown.epoch) return placed;
  const apart = new Set(shown.apart);
  return placed.filter((event) => event.seq > shown.seq && !apart.has(event.seq));
}

/**
 * The position after some were shown: `waiting` are the places of those that still have to be, `heard` is the highest
 * place that came in. What was shown beyond the first waiting one is kept apart.
 */
export function advance(shown: Shown, heard: Position, waiting: readonly number[]): Shown {
  const now = heard.epoch === shown.epoch ? shown : { epoch: heard.epoch, seq: 0, apart: [] };
  const seq = Math.max(now.seq, waiting.length === 0 ? heard.seq : Math.min(...waiting) - 1);
  const missing = new Set(waiting);
  const apart: number[] = [];
  for (let at = seq + 1; at <= heard.seq && apart.length < APART_MAX; at++) if (!missing.has(at)) apart.push(at);
  // After a reload what was shown apart may come again still.
  apart.push(...now.apart.filter((known) => known > Math.max(seq, heard.seq)));
  return { epoch: heard.epoch, seq, apart };
}
