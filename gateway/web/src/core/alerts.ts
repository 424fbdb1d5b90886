// The queue of alerts: one at a time, with a gap, in the order of arrival. A combo is one alert that counts up.

import type { GiftEvent } from "../wire.ts";

export const GAP_MS = 250;
/** A combo's alert stays at least this long after it last counted up. */
export const LINGER_MS = 2_200;
/** ... but makes place for those that wait after this time. */
export const HELD_MS_MAX = 20_000;
/** More alerts than these are not queued one by one: later ones join a waiting one of the same gift. */
export const WAITING_MAX = 200;

/** What is shown at once: one gift, a combo, or several of the same gift when very many wait. */
export interface Alert {
  key: string;
  gift: string;
  name: string | null;
  level: number;
  count: number;
  coins: number;
  message: string | null;
  test: boolean;
  /** How many others joined, when very many wait. */
  others: number;
  /** Places in the history of all that it stands for. */
  seqs: readonly number[];
  /** Id of the gift whose sender and message are shown, where it may still be taken back. */
  firstId: string | null;
  /** Of all that it stands for, what may still be taken back. */
  undoable: readonly { id: string; count: number; coins: number }[];
}

export interface Queue {
  showing: Alert | null;
  sinceMs: number;
  endsMs: number;
  /** Nothing new is shown before this time. */
  gapMs: number;
  waiting: readonly Alert[];
}

export const EMPTY: Queue = { showing: null, sinceMs: 0, endsMs: 0, gapMs: 0, waiting: [] };

/** Take in one event. A combo's end brings nothing new and is not shown by itself. */
export function add(queue: Queue, event: GiftEvent, nowMs: number): Queue {
  if (event.count === 0) return queue;
  const alert = alertOf(event);
  if (queue.showing?.key === alert.key) {
    const endsMs = Math.max(queue.endsMs, nowMs + LINGER_MS);
    return { ...queue, showing: grown(queue.showing, alert), endsMs };
  }
  const same = queue.waiting.findIndex((waiting) => waiting.key === alert.key);
  if (same >= 0) return { ...queue, waiting: replaced(queue.waiting, same, (old) => grown(old, alert)) };
  if (queue.waiting.length >= WAITING_MAX) {
    const like = queue.waiting.findLastIndex((waiting) => waiting.gift === alert.gift && waiting.test === alert.test);
    if (like >= 0) return { ...queue, waiting: replaced(queue.waiting, like, (old) => joined(old, alert)) };
  }
  return { ...queue, waiting: [...queue.waiting, alert] };
}

/** A gift was taken back: it is shown no more, and not at all where it waits. */
export function takeBack(queue: Queue, id: string, nowMs: number): Queue {
  const { showing, waiting } = queue;
  if (showing !== null && isOf(showing, id)) {
    const rest = lessened(showing, id);
    return rest === null ? { ...queue, showing: null, gapMs: nowMs + GAP_MS } : { ...queue, showing: rest };
  }
  if (!waiting.some((alert) => isOf(alert, id))) return queue;
  return { ...queue, waiting: waiting.flatMap((alert) => (isOf(alert, id) ? (lessened(alert, id) ?? []) : alert)) };
}

/** What is due at `nowMs`: the end of the one that is shown, or the begin of the next. */
export function tick(queue: Queue, nowMs: number, durationMs: (alert: Alert) => number): Queue {
  let now = queue;
  if (now.showing !== null && nowMs >= endMs(now)) now = { ...now, showing: null, gapMs: nowMs + GAP_MS };
  const [next, ...rest] = now.waiting;
  if (now.showing !== null || next === undefined || nowMs < now.gapMs) return now;
  return { ...now, showing: next, waiting: rest, sinceMs: nowMs, endsMs: nowMs + durationMs(next) };
}

/** When `tick` has something to do next; null when nothing is due. */
export function nextMs(queue: Queue): number | null {
  if (queue.showing !== null) return endMs(queue);
  return queue.waiting.length > 0 ? queue.gapMs : null;
}

/** Places of everything that waits. */
export function waitingSeqs(queue: Queue): number[] {
  return queue.waiting.flatMap((alert) => alert.seqs);
}

/** After the history began anew: what waits is still shown, but its old places mean nothing any more. */
export function forgetPlaces(queue: Queue): Queue {
  return { ...queue, waiting: queue.waiting.map((alert) => ({ ...alert, seqs: [] })) };
}

function endMs(queue: Queue): number {
  return queue.waiting.length > 0 ? Math.min(queue.endsMs, queue.sinceMs + HELD_MS_MAX) : queue.endsMs;
}

function alertOf(event: GiftEvent): Alert {
  const id = event.undo_until_ms === undefined ? null : (event.id ?? null);
  return {
    key: event.combo ? `combo:${event.combo.id}` : `seq:${event.seq}`,
    gift: event.gift,
    name: event.sender?.name ?? null,
    level: event.sender?.level ?? 0,
    count: event.combo?.count ?? event.count,
    coins: event.combo?.coins ?? event.coins,
    message: event.message ?? null,
    test: event.test ?? false,
    others: 0,
    seqs: [event.seq],
    firstId: id,
    undoable: id === null ? [] : [{ id, count: event.count, coins: event.coins }],
  };
}

function replaced(list: readonly Alert[], at: number, change: (old: Alert) => Alert): readonly Alert[] {
  return list.map((old, index) => (index === at ? change(old) : old));
}

/** A combo that counted up: totals never go back. */
function grown(alert: Alert, later: Alert): Alert {
  return {
    ...alert,
    count: Math.max(alert.count, later.count),
    coins: Math.max(alert.coins, later.coins),
    message: later.message ?? alert.message,
    seqs: [...alert.seqs, ...later.seqs],
  };
}

function joined(alert: Alert, other: Alert): Alert {
  return {
    ...alert,
    count: alert.count + other.count,
    coins: alert.coins + other.coins,
    others: alert.others + 1,
    seqs: [...alert.seqs, ...other.seqs],
    undoable: [...alert.undoable, ...other.undoable],
  };
}

const isOf = (alert: Alert, id: string): boolean => alert.undoable.some((gift) => gift.id === id);

/** Without one of the gifts that it stands for; null when nothing is left. */
function lessened(alert: Alert, id: string): Alert | null {
  const gone = alert.undoable.find((gift) => gift.id === id);
  if (gone === undefined) return alert;
  if (alert.others === 0) return null;
  return {
    ...alert,
    count: alert.count - gone.count,
    coins: alert.coins - gone.coins,
    others: alert.others - 1,
    undoable: alert.undoable.filter((gift) => gift !== gone),
    // The one that is named may be the one that is gone.
    ...(alert.firstId === id ? { name: null, level: 0, message: null, firstId: null } : {}),
  };
}
