// Taking a dear gift back: a box with a countdown by the server's clock, until it is pressed or its time is over.

import { askedFor, askedUnder, due, offered, postponed, renewed, secondsLeft, standing, wanted, without, type Offer, type Offers } from "../core/undos.ts";
import { refusal } from "../core/refusals.ts";
import { coins } from "../core/words.ts";
import { h } from "../page/dom.ts";
import { pin, placeToasts, toast } from "../page/toasts.ts";
import type { Accepted, Refused, Undone } from "../wire.ts";
import type { CatalogGift } from "../wire_http.ts";

const PUMP_MS = 200;
const UNKNOWN = "It is not known whether the gift was taken back. Your coins will tell.";

export interface Wiring {
  /** Ask the server over the open connection; the ref of the question, null when there is no connection. */
  ask: (id: string) => string | null;
  /** The server's time; null before it was told. */
  serverMs: () => number | null;
  /** A box that had the focus is gone: where the focus goes. */
  home: () => void;
}

export interface Undos {
  /** A gift was accepted: offered where it can be taken back. */
  accepted(reply: Accepted, gift: CatalogGift): void;
  undone(reply: Undone): void;
  /** Whether the refusal was about taking back. */
  refused(reply: Refused): boolean;
  /** The room tells that this gift was taken back, perhaps in another window. */
  told(id: string): void;
  /** The room is entered again: what was asked for before may be lost. */
  joined(): void;
}

export function undoOffers(wiring: Wiring): Undos {
  let offers: Offers = [];
  const drawn = new Map<string, Box>();

  function pump(): void {
    const [now, server] = [Date.now(), wiring.serverMs()];
    if (server !== null) offers = standing(offers, server);
    for (const id of due(offers, now)) ask(id, now);
    draw(server);
  }

  function ask(id: string, now: number): void {
    if (postponed(offers, id, now, 0) === null) return end(id, UNKNOWN, "bad");
    const ref = wiring.ask(id);
    if (ref !== null) offers = askedFor(offers, id, ref, now);
  }

  function want(id: string): void {
    offers = wanted(offers, id, Date.now());
    pump();
  }

  function end(id: string, words: string | null, kind: "good" | "bad" = "good"): void {
    offers = without(offers, id);
    draw(wiring.serverMs());
    if (words !== null) toast(words, kind);
  }

  function draw(server: number | null): void {
    for (const [id, box] of drawn) {
      if (offers.some((offer) => offer.id === id)) continue;
      const held = box.element.contains(document.activeElement);
      box.element.remove();
      drawn.delete(id);
      if (held) wiring.home();
    }
    for (const offer of offers) {
      const box = drawn.get(offer.id) ?? pinned(offer, server);
      box.show(offer, server);
    }
    if (drawn.size > 0) placeToasts();
  }

  function pinned(offer: Offer, server: number | null): Box {
    const box = boxOf(offer, server, () => want(offer.id));
    drawn.set(offer.id, box);
    pin(box.element);
    return box;
  }

  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    if (event.key.toLowerCase() !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey || typing) return;
    const last = offers.findLast((offer) => offer.asked === null);
    if (last === undefined) return;
    event.preventDefault();
    want(last.id);
  });
  setInterval(pump, PUMP_MS);

  return {
    accepted(reply, gift) {
      if (reply.undo_until_ms === undefined) return;
      offers = offered(offers, { id: reply.id, name: gift.name, coins: reply.coins, untilMs: reply.undo_until_ms, asked: null });
      pump();
    },
    undone(reply) {
      const offer = offers.find((each) => each.id === reply.id);
      if (offer !== undefined) end(reply.id, `${offer.name} is taken back. ${coins(reply.coins)} coins are in your wallet again.`);
    },
    refused(reply) {
      const offer = askedUnder(offers, reply.ref);
      if (offer === undefined) return false;
      const later = reply.retryable ? postponed(offers, offer.id, Date.now(), reply.retry_after_ms ?? 1_000) : null;
      if (later !== null) offers = later;
      else end(offer.id, reply.retryable ? UNKNOWN : refusal(reply.code, reply.message, reply), "bad");
      return true;
    },
    told(id) {
      // What was asked for here has its answer on its way.
      if (offers.some((offer) => offer.id === id && offer.asked === null)) end(id, null);
    },
    joined() {
      offers = renewed(offers, Date.now());
      pump();
    },
  };
}

interface Box {
  element: HTMLElement;
  show(offer: Offer, serverMs: number | null): void;
}

/** Spoken once when it comes; the countdown is for the eyes. */
function boxOf(offer: Offer, serverMs: number | null, press: () => void): Box {
  const left = serverMs === null ? null : secondsLeft(offer, serverMs);
  const wholeMs = Math.max(1, offer.untilMs - (serverMs ?? offer.untilMs));
  const seconds = h("span", { class: "number", "aria-hidden": "true" });
  const button = h("button", { type: "button", "aria-label": `Undo: take ${offer.name} back`, "aria-keyshortcuts": "Control+Z", on: { click: press } }, "Undo", seconds);
  const element = h(
    "div",
    { class: "toast undo" },
    h("span", {}, h("b", {}, offer.name), ` · ${coins(offer.coins)} coins`, left !== null && h("span", { class: "sr" }, `. Can be undone for ${left} seconds, by Control and Z too.`)),
    button,
    h("span", { class: "fuse", "aria-hidden": "true" }),
  );
  return {
    element,
    show(now, server) {
      // Not disabled, so that it keeps the focus until the answer is there.
      button.setAttribute("aria-disabled", String(now.asked !== null));
      const text = now.asked !== null ? " …" : server === null ? "" : ` (${secondsLeft(now, server)} s)`;
      if (seconds.textContent !== text) seconds.textContent = text;
      // Not an animation, which would begin anew where the box is moved into a dialog.
      if (server !== null) element.style.setProperty("--left", String(Math.max(0, (now.untilMs - server) / wholeMs)));
    },
  };
}
