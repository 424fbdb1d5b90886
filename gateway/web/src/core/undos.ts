// Dear gifts that can be taken back for a moment, and the wishes to do so: each is asked for until it has an answer.

export const OFFERS_MAX = 5;
export const ASKS_MAX = 8;
/** How long an answer may take on an open connection before the same is asked again. */
export const REPLY_MS = 5_000;

/** One gift of one's own. */
export interface Offer {
  id: string;
  name: string;
  coins: number;
  /** Until when it can be taken back, by the server's clock. */
  untilMs: number;
  /** Since it was asked for: under which ref, when it is to be asked (again) by the page's clock, and how often it was. */
  asked: { ref: string; dueMs: number; tries: number } | null;
}

export type Offers = readonly Offer[];

/** With one more, the newest last. A gift is offered once; of too many, the oldest that nobody asked for goes. */
export function offered(offers: Offers, offer: Offer): Offers {
  const all = [...without(offers, offer.id), offer];
  if (all.length <= OFFERS_MAX) return all;
  const least = all.find((each) => each.asked === null);
  return all.filter((each) => each !== least);
}

/** Those that stand at a time of the server's: what was asked for stays until it has its answer. */
export function standing(offers: Offers, serverMs: number): Offers {
  const now = offers.filter((offer) => offer.asked !== null || serverMs < offer.untilMs);
  return now.length === offers.length ? offers : now;
}

/** Whole seconds that are left, rounded: the clock is late by what the server's word was on its way. */
export function secondsLeft(offer: Offer, serverMs: number): number {
  return Math.max(0, Math.round((offer.untilMs - serverMs) / 1000));
}

/** One is to be taken back. */
export function wanted(offers: Offers, id: string, nowMs: number): Offers {
  return changed(offers, id, (offer) => (offer.asked === null ? { ...offer, asked: { ref: "", dueMs: nowMs, tries: 0 } } : offer));
}

/** The ids that are to be asked for now. */
export function due(offers: Offers, nowMs: number): string[] {
  return offers.filter((offer) => offer.asked !== null && offer.asked.dueMs <= nowMs).map((offer) => offer.id);
}

/** One was asked for over the connection, under this ref. */
export function askedFor(offers: Offers, id: string, ref: string, nowMs: number): Offers {
  return changed(offers, id, (offer) => ({ ...offer, asked: { ref, dueMs: nowMs + REPLY_MS, tries: (offer.asked?.tries ?? 0) + 1 } }));
}

/** What was asked for under a ref. */
export function askedUnder(offers: Offers, ref: string | undefined): Offer | undefined {
  return ref ? offers.find((offer) => offer.asked?.ref === ref) : undefined;
}

/** One is to be asked for again later; null when it was asked for often enough. */
export function postponed(offers: Offers, id: string, nowMs: number, afterMs: number): Offers | null {
  const tries = offers.find((offer) => offer.id === id)?.asked?.tries ?? ASKS_MAX;
  if (tries >= ASKS_MAX) return null;
  return changed(offers, id, (offer) => ({ ...offer, asked: { ref: offer.asked!.ref, dueMs: nowMs + afterMs, tries } }));
}

/** After a reconnect every answer may be lost: all that was asked for is due again. */
export function renewed(offers: Offers, nowMs: number): Offers {
  return offers.map((offer) => (offer.asked === null ? offer : { ...offer, asked: { ...offer.asked, dueMs: nowMs } }));
}

/** Without one that has its answer. */
export function without(offers: Offers, id: string): Offers {
  return offers.filter((offer) => offer.id !== id);
}

function changed(offers: Offers, id: string, change: (offer: Offer) => Offer): Offers {
  return offers.map((offer) => (offer.id === id ? change(offer) : offer));
}
