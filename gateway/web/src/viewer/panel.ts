// The gift panel: shelves by tier, and which gift is chosen.

import { coins } from "../core/words.ts";
import { h, icon } from "../page/dom.ts";
import { preload } from "../stage/player.ts";
import type { Catalog, CatalogGift } from "../wire_http.ts";

export interface Panel {
  element: HTMLElement;
  chosen(): CatalogGift | null;
  /** What the viewer can send now: dearer gifts, or those of a higher level, are shown dimmed. */
  allow(balanceCoins: number, level: number): void;
}

/** Why a gift cannot be chosen at a level; null when it can. */
function barrier(gift: CatalogGift, level: number): string | null {
  if (gift.fans_only) return "Fans";
  return gift.level_min > level ? `Lv ${gift.level_min}` : null;
}

export function giftPanel(catalog: Catalog, onChoose: (gift: CatalogGift) => void): Panel {
  let chosen: CatalogGift | null = null;
  const grid = h("div", { class: "gifts", role: "radiogroup", "aria-label": "Gifts" });
  const cards = new Map(catalog.gifts.map((gift) => [gift.id, card(gift)]));
  const tabs = catalog.tiers.map((tier) =>
    h("button", { class: "tab", type: "button", role: "tab", on: { click: () => open(tier.tier) } }, tier.name),
  );
  const strip = h("div", { class: "tabs", role: "tablist", "aria-label": "Tiers" }, ...tabs);

  function card(gift: CatalogGift): HTMLButtonElement {
    const label = `${gift.name}, ${coins(gift.price_coins)} ${gift.price_coins === 1 ? "coin" : "coins"}`;
    return h(
      "button",
      { class: "gift", type: "button", role: "radio", "aria-checked": "false", "aria-label": label, title: label, vars: { "--tint": gift.colour }, on: { click: () => (choose(gift), onChoose(gift)) } },
      icon(gift.icon, 52),
      h("span", { class: "name" }, gift.name),
      h("span", { class: "coins small" }, icon("coin", 13), coins(gift.price_coins)),
      h("span", { class: "bar" }),
    );
  }

  function choose(gift: CatalogGift): void {
    chosen = gift;
    for (const [id, each] of cards) each.setAttribute("aria-checked", String(id === gift.id));
    rove();
    void preload(gift.animation);
  }

  function open(tier: number): void {
    tabs.forEach((tab, index) => {
      const here = catalog.tiers[index]!.tier === tier;
      tab.setAttribute("aria-selected", String(here));
      tab.tabIndex = here ? 0 : -1;
    });
    grid.replaceChildren(...catalog.gifts.filter((gift) => gift.tier === tier).map((gift) => cards.get(gift.id)!));
    grid.scrollLeft = 0;
    rove();
  }

  /** One card of a shelf takes the focus: the chosen one, else the first. Arrows move on from there. */
  function rove(): void {
    const shelf = [...grid.children] as HTMLElement[];
    const here = shelf.find((each) => each.getAttribute("aria-checked") === "true") ?? shelf[0];
    for (const each of shelf) each.tabIndex = each === here ? 0 : -1;
  }

  strip.addEventListener("keydown", ({ key }) => {
    const step = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0;
    if (step) move(tabs, step)?.click();
  });
  grid.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    move([...grid.children] as HTMLElement[], step)?.click();
  });
  open(catalog.tiers[0]!.tier);
  const first = catalog.gifts[0];
  if (first) choose(first);

  return {
    element: h("div", { class: "panel" }, strip, grid),
    chosen: () => chosen,
    allow(balanceCoins, level) {
      for (const gift of catalog.gifts) {
        const each = cards.get(gift.id)!;
        const why = barrier(gift, level);
        each.classList.toggle("dear", gift.price_coins > balanceCoins);
        each.classList.toggle("barred", why !== null);
        each.querySelector(".bar")!.textContent = why ?? "";
      }
    },
  };
}

function move(elements: readonly HTMLElement[], step: number): HTMLElement | undefined {
  const at = elements.findIndex((element) => element === document.activeElement);
  const next = elements[(at + step + elements.length) % elements.length];
  next?.focus();
  return next;
}
