// The sandbox's checkout: what a card page would be. Paid coins are only told of once the server has credited them.
// Other providers have pages of their own, from which the buyer comes back.

import { coins, exponentOf, price } from "../core/words.ts";
import { type Api, wordsFor } from "../net/api.ts";
import { dialog, h, icon } from "../page/dom.ts";
import { toast } from "../page/toasts.ts";
import type { DemoPaymentBody, Purchase } from "../wire_http.ts";

const POLL_MS = 700;
const POLLS_MAX = 40;

/** Let the buyer pay. Returns the credited purchase; null when it was declined or left. */
export function checkout(api: Api, purchase: Purchase): Promise<Purchase | null> {
  if (/^https?:/.test(purchase.checkout)) {
    location.assign(purchase.checkout);
    return Promise.resolve(null);
  }
  let resolve: (end: Purchase | null) => void = () => {};
  const promise = new Promise<Purchase | null>((settle) => (resolve = settle));
  const total = price(purchase.price_minor, purchase.currency, exponentOf(purchase.currency));
  const status = h("p", { class: "small muted", role: "status" }, "Sandbox: no real card and no real money.");
  const decline = h("button", { type: "button", on: { click: () => void pay("declined") } }, "Decline");
  const paying = h("button", { class: "primary", type: "button", autofocus: true, on: { click: () => void pay("paid") } }, `Pay ${total}`);
  const box = dialog(
    "Sandbox checkout",
    "checkout",
    h(
      "div",
      { class: "creditcard", "aria-hidden": "true" },
      h("span", { class: "chip" }),
      h("span", { class: "digits number" }, "4242 4242 4242 4242"),
      h("span", { class: "holder" }, h("span", {}, "SANDBOX BUYER"), h("span", {}, "12 / 34")),
    ),
    h(
      "dl",
      { class: "order" },
      ...row("Coins", purchase.coins),
      ...(purchase.bonus_coins > 0 ? row("Bonus", purchase.bonus_coins) : []),
      h("dt", {}, "Total"),
      h("dd", { class: "number" }, total),
    ),
    status,
    h("div", { class: "choices" }, decline, paying),
  );

  async function pay(outcome: NonNullable<DemoPaymentBody["outcome"]>): Promise<void> {
    paying.disabled = decline.disabled = true;
    status.textContent = outcome === "paid" ? "Paying…" : "Declining…";
    try {
      const paid = await api.post<Purchase>(`/v1/demo/purchases/${purchase.id}/pay`, { outcome } satisfies DemoPaymentBody);
      const end = await credited(api, paid);
      resolve(end?.state === "credited" ? end : null);
      box.close();
      if (end === null) toast("The payment went through. The coins come as soon as the server has booked them.");
      else if (end.state !== "credited") toast("The card was declined. Nothing was charged.", "bad");
    } catch (error) {
      status.textContent = wordsFor(error);
      paying.disabled = decline.disabled = false;
    }
  }

  box.addEventListener("close", () => (box.remove(), resolve(null)));
  document.body.append(box);
  box.showModal();
  return promise;
}

/** Ask until the purchase has come to an end; null when that takes too long. */
async function credited(api: Api, purchase: Purchase): Promise<Purchase | null> {
  let now = purchase;
  for (let poll = 0; now.state === "paid" || now.state === "pending"; poll++) {
    if (poll === POLLS_MAX) return null;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    now = await api.get<Purchase>(`/v1/purchases/${purchase.id}`);
  }
  return now;
}

const row = (name: string, amount: number): HTMLElement[] => [
  h("dt", {}, name),
  h("dd", { class: "coins" }, icon("coin", 15), coins(amount)),
];
