// Gifts on their way: each keeps its id until the server has said what became of it, however often it must be asked.

import type { SendGift } from "../wire.ts";

export const PENDING_MAX = 40;
export const TRIES_MAX = 8;
/** How long a reply may take on an open connection before the same gift is sent again. */
export const REPLY_MS = 8_000;

export type Order = Omit<SendGift, "type" | "ref">;

export interface Pending {
  order: Order;
  tries: number;
  /** When it is to be sent (again). */
  dueMs: number;
}

export type Outbox = readonly Pending[];

/** With one more; null when too many are on their way. */
export function put(outbox: Outbox, order: Order, nowMs: number): Outbox | null {
  return outbox.length < PENDING_MAX ? [...outbox, { order, tries: 0, dueMs: nowMs }] : null;
}

/** Those to be sent now, and the outbox with their next time. */
export function due(outbox: Outbox, nowMs: number): { send: Order[]; outbox: Outbox } {
  const send = outbox.filter((pending) => pending.dueMs <= nowMs).map((pending) => pending.order);
  const later = outbox.map((pending) =>
    pending.dueMs <= nowMs ? { ...pending, tries: pending.tries + 1, dueMs: nowMs + REPLY_MS } : pending,
  );
  return { send, outbox: later };
}

/** Without one that was answered for good. */
export function settle(outbox: Outbox, id: string): Outbox {
  return outbox.filter((pending) => pending.order.id !== id);
}

/** One was refused for now; null when it was tried often enough. */
export function postpone(outbox: Outbox, id: string, nowMs: number, afterMs: number): Outbox | null {
  const found = outbox.find((pending) => pending.order.id === id);
  if (found === undefined || found.tries >= TRIES_MAX) return null;
  return outbox.map((pending) => (pending === found ? { ...pending, dueMs: nowMs + afterMs } : pending));
}

/** After a reconnect every reply may be lost: all are due again. */
export function renew(outbox: Outbox, nowMs: number): Outbox {
  return outbox.map((pending) => ({ ...pending, dueMs: nowMs }));
}
