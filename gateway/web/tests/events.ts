// Events as the server tells them, for the tests.

import type { Placed } from "../src/core/seen.ts";
import type { Events, GiftEvent, UndoneEvent } from "../src/wire.ts";

export function gift(seq: number, more: Partial<GiftEvent> = {}): GiftEvent {
  return {
    kind: "gift", seq, sender: { id: "ann", name: "Ann", level: 3 }, to: "creator", gift: "rose",
    price_coins: 1, count: 1, coins: 1, at_ms: 1_000, ...more,
  };
}

/** One step of a combo: `count` is its running total. */
export function step(seq: number, count: number, state: "start" | "update" | "end" = count === 1 ? "start" : "update"): GiftEvent {
  const fresh = state === "end" ? 0 : 1;
  return gift(seq, { count: fresh, coins: fresh, combo: { id: "c1", count, coins: count, state } });
}

/** A dear gift that can be taken back. */
export function dear(seq: number, id: string, more: Partial<GiftEvent> = {}): GiftEvent {
  return gift(seq, { gift: "lion", price_coins: 29_999, coins: 29_999, id, undo_until_ms: 11_000, ...more });
}

export function undone(seq: number, id: string): UndoneEvent {
  return { kind: "undone", seq, id, sender: null, to: "creator", gift: "lion", price_coins: 29_999, count: 1, coins: 29_999, at_ms: 5_000 };
}

export function told(epoch: number, ...events: Placed[]): Events {
  return { type: "events", room: "demo", epoch, seq: events.at(-1)!.seq, events };
}
