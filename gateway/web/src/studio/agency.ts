// An agency's studio: what it was given of its creators' gifts, how to be paid, and whom it looks after.

import { latest } from "../core/latest.ts";
import type { Api } from "../net/api.ts";
import { h } from "../page/dom.ts";
import type { AgencyCreators, AgencyEarnings } from "../wire_http.ts";
import { chartCard } from "./chart.ts";
import { earningsTiles } from "./earnings.ts";
import type { View } from "./payee.ts";
import { withdrawCard } from "./withdraw.ts";

const PATH = "/v1/agencies/me";
/** Creators that are read at once; more when they are asked for. */
const CREATORS_SHOWN = 40;

export async function agencyStudio(api: Api, name: string): Promise<View> {
  const earnings = await api.get<AgencyEarnings>(`${PATH}/earnings`);
  const payee = { path: PATH, rate: earnings };
  const chart = chartCard(api, payee);
  const tiles = earningsTiles({ title: "Given", note: "Of all gifts to your creators, as far as the books are." }, earnings);
  const readEarnings = latest(() => api.get<AgencyEarnings>(`${PATH}/earnings`, 1), show);
  const withdraw = withdrawCard(api, payee, () => void readEarnings().catch(() => null));
  const creators = creatorsCard(api);

  function show(now: AgencyEarnings): void {
    tiles.show(now.given_diamonds, now);
    withdraw.show(now);
  }

  show(earnings);
  return {
    name,
    parts: [
      tiles.element,
      h("div", { class: "columns" }, h("div", { class: "column" }, chart.element, withdraw.element), h("div", { class: "column" }, creators)),
    ],
    refresh() {
      void chart.refresh();
      void withdraw.refresh();
      return readEarnings();
    },
  };
}

/** The creators by id, page after page as far as one wants to see. */
function creatorsCard(api: Api): HTMLElement {
  const list = h("ul", { class: "creators" });
  const note = h("p", { class: "muted small", role: "status" }, "One moment…");
  const more = h("button", { class: "hidden", type: "button", on: { click: () => void read() } }, "Show more");
  let next: string | null = null;

  async function read(): Promise<void> {
    more.disabled = true;
    try {
      const page = await api.get<AgencyCreators>(`${PATH}/creators?limit=${CREATORS_SHOWN}${next === null ? "" : `&after=${encodeURIComponent(next)}`}`);
      next = page.next;
      list.append(...page.creators.map((creator) => h("li", {}, creator)));
      note.textContent = list.children.length === 0 ? "No creator names you as the agency. An operator enters it." : "";
      more.textContent = "Show more";
    } catch {
      note.textContent = "The list could not be read.";
      more.textContent = "Try again";
      more.classList.remove("hidden");
      return;
    } finally {
      more.disabled = false;
    }
    more.classList.toggle("hidden", next === null);
  }

  void read();
  return h("section", { class: "card block" }, h("h2", {}, "Your creators"), note, list, more);
}
