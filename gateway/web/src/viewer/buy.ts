// Buying coins: packages with their prices, and an amount of one's own choice. What is paid for is told by the server.

import { uuid7 } from "../core/uuid7.ts";
import { coins, price } from "../core/words.ts";
import { type Api, wordsFor } from "../net/api.ts";
import { dialog, h, icon } from "../page/dom.ts";
import { toast } from "../page/toasts.ts";
import type { PackageOffer, Packages, Purchase, PurchaseBody } from "../wire_http.ts";
import { checkout } from "./checkout.ts";

const COUNTRIES = ["US", "GB", "DE", "FR", "ES", "IT", "NL", "BR", "MX", "CA", "AU", "JP", "KR", "IN", "ID", "PH", "VN", "TR", "PL", "CH", "SA", "KW"];
const CUSTOM = "custom";

export interface Shop {
  /** Open it; `missing` coins are wanted for the gift that could not be sent. */
  open(missing?: number): void;
}

export function shop(api: Api, onBought: (purchase: Purchase) => void): Shop {
  const names = new Intl.DisplayNames("en", { type: "region" });
  const country = h(
    "select",
    { on: { change: () => void load() } },
    ...COUNTRIES.map((code) => h("option", { value: code }, names.of(code) ?? code)),
  );
  country.value = homeCountry();
  const hint = h("p", { class: "hint", role: "status" });
  const list = h("div", { class: "packages", "aria-label": "Packages" });
  const amount = h("input", { type: "number", inputmode: "numeric", step: 1, required: true, placeholder: "Own amount of coins", "aria-label": "Own amount of coins" });
  const custom = h(
    "form",
    { class: "custom", on: { submit: (event) => (event.preventDefault(), void buy(CUSTOM, amount.valueAsNumber)) } },
    amount,
    h("button", { type: "submit" }, "Buy"),
  );
  const box = dialog(
    "Get coins",
    "shop",
    h("div", { class: "shophead" }, hint, h("label", { class: "field" }, h("span", {}, "Country"), country)),
    list,
    custom,
    h("p", { class: "muted small" }, "Prices on the web. The struck price is that of the app stores. A first purchase may bring bonus coins, shown before you pay."),
  );
  document.body.append(box);
  let missing = 0;

  async function load(): Promise<void> {
    list.setAttribute("aria-busy", "true");
    try {
      draw(await api.get<Packages>(`/v1/packages?country=${country.value}&platform=web`));
    } catch (error) {
      list.replaceChildren(h("p", { class: "muted" }, wordsFor(error)), h("button", { type: "button", on: { click: () => void load() } }, "Try again"));
    }
    list.removeAttribute("aria-busy");
  }

  function draw(packages: Packages): void {
    const enough = packages.packages.find((offer) => offer.coins + offer.bonus_coins >= missing);
    list.replaceChildren(...packages.packages.map((offer) => pack(offer, missing > 0 && offer === enough)));
    custom.classList.toggle("hidden", packages.custom === null);
    if (packages.custom === null) return;
    amount.min = String(packages.custom.coins_min);
    amount.max = String(packages.custom.coins_max);
    amount.placeholder = `Own amount, from ${coins(packages.custom.coins_min)} coins`;
  }

  function pack(offer: PackageOffer, fits: boolean): HTMLElement {
    const saving = Math.floor(offer.saving_bp / 100);
    return h(
      "button",
      { class: `pack${fits ? " fits" : ""}`, type: "button", on: { click: () => void buy(offer.package) } },
      saving > 0 && h("span", { class: "saving" }, `Save ${saving}%`),
      h("span", { class: "coins" }, icon("coin", 22), coins(offer.coins)),
      h("span", { class: "bonus" }, offer.bonus_coins > 0 ? `+${coins(offer.bonus_coins)} bonus` : ""),
      h("span", { class: "price number" }, price(offer.price_minor, offer.currency, offer.exponent)),
      offer.in_app_price_minor > offer.price_minor && h("s", { class: "muted small number" }, price(offer.in_app_price_minor, offer.currency, offer.exponent)),
    );
  }

  async function buy(name: string, own?: number): Promise<void> {
    if (name === CUSTOM && !amount.reportValidity()) return;
    const body: PurchaseBody = { id: uuid7(), package: name, platform: "web", country: country.value };
    if (own !== undefined) body.coins = own;
    box.inert = true;
    try {
      const purchase = await api.post<Purchase>("/v1/purchases", body);
      const outcome = await checkout(api, purchase);
      if (outcome === null) return;
      box.close();
      onBought(outcome);
    } catch (error) {
      toast(wordsFor(error), "bad");
    } finally {
      box.inert = false;
    }
  }

  return {
    open(wanted = 0) {
      missing = Math.max(0, wanted);
      hint.textContent = missing > 0 ? `You need ${coins(missing)} more coins for this gift.` : "Coins are spent on gifts.";
      if (!box.open) box.showModal();
      void load();
    },
  };
}

function homeCountry(): string {
  const region = new Intl.Locale(navigator.language).maximize().region ?? "US";
  return COUNTRIES.includes(region) ? region : "US";
}
