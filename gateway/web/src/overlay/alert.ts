// One alert on the screen: its animation, who sent what, and a count that rises in place.

import type { Alert } from "../core/alerts.ts";
import { coins } from "../core/words.ts";
import { h, icon } from "../page/dom.ts";
import { play } from "../stage/player.ts";
import type { CatalogGift } from "../wire_http.ts";

/** Less than the gap before the next one, so that it is gone by then. */
const FADE_MS = 200;

export interface AlertBox {
  element: HTMLElement;
  show(alert: Alert, gift: CatalogGift, forMs: number): void;
  /** The combo on the screen counted up. */
  update(alert: Alert): void;
  /** It fades away. */
  hide(): void;
}

export function alertBox(): AlertBox {
  const element = h("div", { class: "alert", role: "log", "aria-live": "polite" });
  let stop = (): void => {};
  let fading: ReturnType<typeof setTimeout> | undefined;
  let now: { gift: CatalogGift; card: HTMLElement; art: HTMLElement; until: number } | null = null;

  function words(alert: Alert, gift: CatalogGift, counted: boolean): HTMLElement[] {
    const who = alert.others > 0 ? `${alert.name ?? "Someone"} and ${coins(alert.others)} more` : (alert.name ?? "Someone");
    return [
      h(
        "div",
        { class: "who" },
        h("b", {}, who),
        alert.level > 0 && h("span", { class: "level" }, String(alert.level)),
        alert.test && h("span", { class: "test" }, "TEST"),
      ),
      h(
        "div",
        { class: "what" },
        h("span", {}, `sent ${gift.name}`),
        alert.count > 1 && h("span", { class: `times${counted ? " counted" : ""}` }, `×${coins(alert.count)}`),
        h("span", { class: "amount" }, icon("coin", 30), coins(alert.coins)),
      ),
      ...(alert.message === null ? [] : [h("p", { class: "message" }, alert.message)]),
    ];
  }

  function clear(): void {
    clearTimeout(fading);
    stop();
    stop = () => {};
    now = null;
    element.className = "alert";
    element.replaceChildren();
  }

  /** A combo that goes on plays its animation again, so that it never stands still. */
  function replay(): void {
    if (now === null || Date.now() < now.until) return;
    stop();
    stop = play(now.art, now.gift, now.gift.duration_ms);
    now.until = Date.now() + now.gift.duration_ms;
  }

  return {
    element,
    show(alert, gift, forMs) {
      clear();
      const art = h("div", { class: "art" });
      const card = h("div", { class: "card" }, ...words(alert, gift, false));
      element.className = `alert on ${gift.effect}`;
      element.style.setProperty("--tint", gift.colour);
      element.replaceChildren(art, card);
      stop = play(art, gift, forMs);
      now = { gift, card, art, until: Date.now() + forMs };
    },
    update(alert) {
      if (now === null) return;
      now.card.replaceChildren(...words(alert, now.gift, true));
      replay();
    },
    hide() {
      now = null;
      element.classList.add("leaving");
      fading = setTimeout(clear, FADE_MS);
    },
  };
}
