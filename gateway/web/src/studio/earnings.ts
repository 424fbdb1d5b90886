// What was earned, in diamonds and in money, and what of a gift is the creator's.

import { coins, exponentOf, price } from "../core/words.ts";
import { h } from "../page/dom.ts";
import type { Earnings } from "../wire_http.ts";
import { type Purse, type Rate, worth } from "./payee.ts";

/** How the first of the tiles is called, and what it means. */
export interface Earned {
  title: string;
  note: string;
}

export function earningsTiles({ title, note }: Earned, rate: Rate): { element: HTMLElement; show: (earnedDiamonds: number, now: Purse) => void } {
  const live = tile(title, note);
  const pending = tile("Pending", "");
  const available = tile("Available", "Can be withdrawn now.");
  const out = tile("Withdrawn", "");
  const element = h("section", { class: "tiles", "aria-label": "Earnings" }, live.element, pending.element, available.element, out.element);
  live.element.classList.add("first");

  function show(earnedDiamonds: number, now: Purse): void {
    const set = (where: ReturnType<typeof tile>, diamonds: number): void => where.set(coins(diamonds), worth(diamonds, rate));
    set(live, earnedDiamonds);
    set(pending, now.pending_diamonds);
    set(available, now.available_diamonds);
    set(out, now.paid_out_diamonds);
    const ripens = now.next_matures_ms === null ? "Becomes available soon." : `More becomes available ${when(now.next_matures_ms)}.`;
    pending.note(now.pending_diamonds > 0 ? ripens : "Nothing has to wait.");
    out.note(now.on_hold_diamonds > 0 ? `${coins(now.on_hold_diamonds)} more are on their way.` : "Paid out to you.");
  }

  return { element, show };
}

export function shareCard({ share, example }: Earnings): HTMLElement {
  const bar = h("div", { class: "split", role: "img", "aria-label": `You keep ${share.share_percent} percent` }, h("span", { class: "yours" }, `You ${share.share_percent}%`), h("span", { class: "theirs" }, `Platform ${share.commission_bp / 100}%`));
  bar.style.setProperty("--yours", `${share.share_bp / 100}fr`);
  bar.style.setProperty("--theirs", `${share.commission_bp / 100}fr`);
  const money = price(example.payout_minor, share.payout_currency, exponentOf(share.payout_currency));
  return h(
    "section",
    { class: "card block" },
    h("h2", {}, "Your share"),
    bar,
    h("p", { class: "muted small" }, `A coin is worth ${coins(share.diamonds_per_coin)} diamonds. A gift of ${coins(example.price_coins)} coins is ${coins(example.price_diamonds)} diamonds: ${coins(example.share_diamonds)} are yours (${money}), ${coins(example.commission_diamonds)} are the platform's.`),
  );
}

function tile(name: string, text: string) {
  const amount = h("strong", { class: "number" });
  const money = h("span", { class: "muted number" });
  const note = h("p", { class: "muted small" }, text);
  const element = h("div", { class: "card tile" }, h("h3", { class: "muted" }, name), h("div", { class: "amount" }, h("span", { class: "gem", "aria-hidden": "true" }), amount, h("span", { class: "sr" }, "diamonds"), money), note);
  return {
    element,
    set(diamonds: string, worthText: string): void {
      if (amount.textContent && amount.textContent !== diamonds) {
        element.classList.remove("rose");
        void element.offsetWidth;
        element.classList.add("rose");
      }
      amount.textContent = diamonds;
      money.textContent = worthText;
    },
    note: (words: string) => void (note.textContent = words),
  };
}

function when(ms: number): string {
  const hours = Math.max(0, Math.round((ms - Date.now()) / 3_600_000));
  if (hours < 1) return "within the hour";
  return hours < 48 ? `in ${hours} h` : `in ${Math.round(hours / 24)} days`;
}
