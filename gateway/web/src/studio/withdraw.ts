// Withdrawing: where to, how much, and where each withdrawal stands.

import { uuid7 } from "../core/uuid7.ts";
import { coins, exponentOf, price } from "../core/words.ts";
import { type Api, wordsFor } from "../net/api.ts";
import { h } from "../page/dom.ts";
import { toast } from "../page/toasts.ts";
import type { PayoutMethod, PayoutMethods, Withdrawal, WithdrawalBody, Withdrawals } from "../wire_http.ts";
import { methodDialog } from "./method.ts";
import { type Payee, type Purse, worth } from "./payee.ts";

const WAY = ["requested", "review", "approved", "sent", "paid"] as const;
const LABELS: Record<Withdrawal["state"], string> = {
  requested: "Requested", review: "In review", approved: "Approved", sent: "Sent", paid: "Paid",
  failed: "Failed", returned: "Returned", rejected: "Rejected",
};

export interface WithdrawCard {
  element: HTMLElement;
  show(purse: Purse): void;
  refresh(): Promise<void>;
}

export function withdrawCard(api: Api, { path, rate }: Payee, onChange: () => void): WithdrawCard {
  let availableDiamonds = 0;
  /** The id stays the same while one request is tried again. */
  let id = uuid7();
  const method = h("select", { "aria-label": "Payout method", required: true });
  const amount = h("input", { type: "number", inputmode: "numeric", min: 1, step: 1, required: true, placeholder: "Diamonds", "aria-label": "Diamonds", on: { input: () => preview() } });
  const money = h("span", { class: "muted small number" });
  const submit = h("button", { class: "primary", type: "submit" }, "Withdraw");
  const list = h("ul", { class: "withdrawals" });
  const add = methodDialog(api, path, (made) => void readMethods(made.id));
  const form = h(
    "form",
    { class: "withdraw", on: { submit: (event) => (event.preventDefault(), void withdraw()) } },
    h("label", { class: "field" }, h("span", {}, "To"), h("span", { class: "pair" }, method, h("button", { type: "button", on: { click: () => add.open() } }, "Add…"))),
    h("label", { class: "field" }, h("span", {}, "Diamonds"), h("span", { class: "pair" }, amount, h("button", { type: "button", on: { click: () => all() } }, "All"))),
    h("div", { class: "row" }, money, submit),
  );

  function all(): void {
    amount.value = String(availableDiamonds);
    preview();
  }

  function preview(): void {
    id = uuid7();
    const diamonds = amount.valueAsNumber;
    money.textContent = diamonds > 0 ? `Pays ${worth(diamonds, rate)}` : `${coins(availableDiamonds)} diamonds available`;
  }

  async function withdraw(): Promise<void> {
    submit.disabled = true;
    try {
      const body: WithdrawalBody = { id, method: method.value, diamonds: amount.valueAsNumber };
      const made = await api.post<Withdrawal>(`${path}/withdrawals`, body);
      toast(`${paysOut(made)} requested.`, "good");
      amount.value = "";
      preview();
      onChange();
      await refresh();
    } catch (error) {
      toast(wordsFor(error), "bad");
    } finally {
      submit.disabled = false;
    }
  }

  async function readMethods(chosen?: string): Promise<void> {
    const { methods } = await api.get<PayoutMethods>(`${path}/payout-methods`);
    method.replaceChildren(
      ...(methods.length ? methods.map(option) : [h("option", { value: "" }, "Add a payout method first")]),
    );
    if (chosen !== undefined) method.value = chosen;
    submit.disabled = methods.length === 0;
  }

  async function refresh(): Promise<void> {
    const now = await api.get<Withdrawals>(`${path}/withdrawals?limit=10`).catch(() => null);
    if (now === null) return;
    list.replaceChildren(...now.withdrawals.map(entry));
  }

  preview();
  readMethods().catch((error: unknown) => toast(wordsFor(error), "bad"));
  void refresh();
  return {
    element: h("section", { class: "card block" }, h("h2", {}, "Withdraw"), form, list),
    show(now) {
      availableDiamonds = now.available_diamonds;
      if (!amount.value) preview();
    },
    refresh,
  };
}

function entry(withdrawal: Withdrawal): HTMLElement {
  const at = WAY.indexOf(withdrawal.state as (typeof WAY)[number]);
  const steps = at >= 0 ? WAY.map((state, index) => h("span", { class: index <= at ? "done" : "", title: LABELS[state] })) : [h("span", { class: "ended" })];
  return h(
    "li",
    { class: `state-${withdrawal.state}` },
    h("div", { class: "row" }, h("b", { class: "number" }, paysOut(withdrawal)), h("span", { class: "badge" }, LABELS[withdrawal.state])),
    h("div", { class: "steps", "aria-hidden": "true" }, ...steps),
    h("div", { class: "row muted small" }, h("span", { class: "number" }, `${coins(withdrawal.diamonds)} diamonds`), h("span", {}, new Date(withdrawal.requested_ms).toLocaleString("en-US", { dateStyle: "medium", timeStyle: "short" }))),
  );
}

const option = (method: PayoutMethod): HTMLElement => h("option", { value: method.id }, `${method.label} (${method.kind})`);

function paysOut(withdrawal: Withdrawal): string {
  return price(withdrawal.amount_minor, withdrawal.currency, exponentOf(withdrawal.currency));
}
