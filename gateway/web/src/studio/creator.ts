// A creator's studio: what was earned, how to be paid, and the overlay.

import { latest } from "../core/latest.ts";
import type { Api } from "../net/api.ts";
import { h } from "../page/dom.ts";
import type { Catalog, Earnings, Rooms } from "../wire_http.ts";
import { chartCard } from "./chart.ts";
import { earningsTiles, shareCard } from "./earnings.ts";
import { overlayCard } from "./overlay_card.ts";
import type { View } from "./payee.ts";
import { withdrawCard } from "./withdraw.ts";

const PATH = "/v1/creators/me";

export async function creatorStudio(api: Api): Promise<View> {
  const [earnings, catalog, rooms] = await Promise.all([
    api.get<Earnings>(`${PATH}/earnings`),
    api.get<Catalog>("/v1/catalog"),
    api.get<Rooms>("/v1/rooms"),
  ]);
  const own = rooms.rooms.filter((room) => room.creator === earnings.creator);
  const payee = { path: PATH, rate: earnings.share };
  const chart = chartCard(api, payee);
  const tiles = earningsTiles({ title: "Earned, live", note: "Everything ever earned, up to this second." }, earnings.share);
  const readEarnings = latest(() => api.get<Earnings>(`${PATH}/earnings`, 1), show);
  const withdraw = withdrawCard(api, payee, () => void readEarnings().catch(() => null));

  function show(now: Earnings): void {
    tiles.show(now.live_diamonds, now);
    withdraw.show(now);
  }

  show(earnings);
  return {
    name: own[0]?.creator_name ?? earnings.creator,
    parts: [
      tiles.element,
      h("div", { class: "columns" }, h("div", { class: "column" }, chart.element, withdraw.element), h("div", { class: "column" }, shareCard(earnings), overlayCard(api, catalog, own))),
    ],
    refresh() {
      void chart.refresh();
      void withdraw.refresh();
      return readEarnings();
    },
  };
}
