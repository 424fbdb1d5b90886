// What happens over the picture: small gifts float up beside it, dear ones come one at a time as a banner or over it all.

import { EMPTY, add, nextMs, takeBack, tick, type Alert, type Queue } from "../core/alerts.ts";
import { coins } from "../core/words.ts";
import { h } from "../page/dom.ts";
import { play } from "../stage/player.ts";
import type { Event } from "../wire.ts";
import type { CatalogGift } from "../wire_http.ts";

const FLOATS_MAX = 5;
/** Viewers may miss a banner: those that wait longer than these are let go. */
const SHOWS_MAX = 12;

export interface Stage {
  element: HTMLElement;
  take(events: readonly Event[]): void;
}

export function giftStage(giftOf: (id: string) => CatalogGift | undefined): Stage {
  const floats = h("div", { class: "floats", "aria-hidden": "true" });
  const show = h("div", { class: "show", "aria-hidden": "true" });
  let queue: Queue = EMPTY;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let clear = (): void => {};
  let shown: Alert | null = null;
  let floated = 0;

  function float(gift: CatalogGift, id: string | undefined): void {
    if (floats.children.length >= FLOATS_MAX) return;
    const box = h("div", { class: "float", "data-id": id, vars: { "--at": `${(floated++ * 37) % 60}%` } });
    floats.append(box);
    const stop = play(box, gift);
    setTimeout(() => (stop(), box.remove()), gift.duration_ms);
  }

  function begin(alert: Alert): void {
    const gift = giftOf(alert.gift);
    if (!gift) return;
    const art = h("div", { class: "art" });
    const caption = h("div", { class: "caption" }, ...words(alert, gift));
    show.className = `show ${gift.effect}`;
    show.style.setProperty("--tint", gift.colour);
    show.replaceChildren(art, caption);
    const stop = play(art, gift);
    clear = () => (stop(), show.replaceChildren(), (show.className = "show"));
  }

  function words(alert: Alert, gift: CatalogGift): HTMLElement[] {
    return [
      h("b", {}, alert.name ?? "Someone"),
      h("span", {}, `sent ${gift.name}`),
      h("span", { class: "times number" }, alert.count > 1 ? `×${coins(alert.count)}` : ""),
    ];
  }

  function step(): void {
    clearTimeout(timer);
    queue = tick(queue, Date.now(), (alert) => giftOf(alert.gift)?.duration_ms ?? 3000);
    if (queue.showing?.key !== shown?.key) {
      clear();
      clear = () => {};
      if (queue.showing) begin(queue.showing);
    } else if (queue.showing && queue.showing !== shown) {
      const gift = giftOf(queue.showing.gift);
      if (gift) show.querySelector(".caption")?.replaceChildren(...words(queue.showing, gift));
    }
    shown = queue.showing;
    const at = nextMs(queue);
    if (at !== null) timer = setTimeout(step, Math.max(20, at - Date.now()));
  }

  return {
    element: h("div", { class: "effects" }, show, floats),
    take(events) {
      for (const event of events) {
        if (event.kind === "undone") {
          queue = takeBack(queue, event.id, Date.now());
          for (const box of floats.querySelectorAll(`[data-id="${event.id}"]`)) box.remove();
        }
        const gift = event.kind === "gift" && event.count > 0 ? giftOf(event.gift) : undefined;
        if (event.kind !== "gift" || !gift) continue;
        if (gift.effect === "float") float(gift, event.id);
        else queue = add(queue, event, Date.now());
      }
      const dear = (alert: Alert): number => giftOf(alert.gift)?.price_coins ?? 0;
      if (queue.waiting.length > SHOWS_MAX) {
        const least = Math.min(...queue.waiting.map(dear));
        const cheapest = queue.waiting.find((alert) => dear(alert) === least);
        queue = { ...queue, waiting: queue.waiting.filter((alert) => alert !== cheapest) };
      }
      step();
    },
  };
}
