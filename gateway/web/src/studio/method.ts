// Adding a payout method. What is typed as the account is sent once and never shown again.

import { uuid7 } from "../core/uuid7.ts";
import { type Api, wordsFor } from "../net/api.ts";
import { dialog, h } from "../page/dom.ts";
import { toast } from "../page/toasts.ts";
import type { PayoutMethod, PayoutMethodBody } from "../wire_http.ts";

const KINDS = { bank: "IBAN or account number", paypal: "PayPal e-mail", other: "Where to send it" } as const;

const NOT_BLANK = ".*\\S.*";

export function methodDialog(api: Api, path: string, onMade: (method: PayoutMethod) => void): { open: () => void } {
  let id = uuid7();
  const kind = h("select", { on: { change: () => name() } }, h("option", { value: "bank" }, "Bank"), h("option", { value: "paypal" }, "PayPal"), h("option", { value: "other" }, "Other"));
  const label = h("input", { type: "text", required: true, pattern: NOT_BLANK, title: "Not only spaces", maxlength: 100, placeholder: "My bank" });
  const accountName = h("span", {}, KINDS.bank);
  const account = h("input", { type: "text", required: true, pattern: NOT_BLANK, title: "Not only spaces", maxlength: 200, autocomplete: "off" });
  const form = h(
    "form",
    { class: "stack", on: { submit: (event) => (event.preventDefault(), void add()) } },
    h("label", { class: "field" }, h("span", {}, "Kind"), kind),
    h("label", { class: "field" }, h("span", {}, "Name, as you recognise it"), label),
    h("label", { class: "field" }, accountName, account),
    h("button", { class: "primary", type: "submit" }, "Add"),
  );
  const box = dialog("Payout method", "method", form);
  document.body.append(box);

  const name = (): void => void (accountName.textContent = KINDS[kind.value as keyof typeof KINDS]);

  async function add(): Promise<void> {
    const body: PayoutMethodBody = { id, kind: kind.value, label: label.value.trim(), details: { account: account.value.trim() } };
    try {
      onMade(await api.post<PayoutMethod>(`${path}/payout-methods`, body));
      form.reset();
      name();
      box.close();
    } catch (error) {
      toast(wordsFor(error), "bad");
    }
  }

  return {
    open() {
      id = uuid7();
      box.showModal();
    },
  };
}
