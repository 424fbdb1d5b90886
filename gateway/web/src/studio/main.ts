// The creator's studio: what was earned, how to be paid, and the overlay. Each card reads what it shows by itself.

import { Api, wordsFor } from "../net/api.ts";
import { h, icon } from "../page/dom.ts";
import { demoIdentity, tokenFromFragment } from "../page/identity.ts";
import type { Catalog, Earnings, Rooms, Studio } from "../wire_http.ts";
import { chartCard } from "./chart.ts";
import { earningsCards } from "./earnings.ts";
import { overlayCard } from "./overlay_card.ts";
import { withdrawCard } from "./withdraw.ts";

const STUDIO_KEY = "giftwire.studio";
const TOKEN_KEY = "giftwire.studio.token";
const REFRESH_MS = 4_000;

const cover = h("p", { class: "cover muted", role: "status" }, "One moment…");
document.body.append(cover);
begin().catch((error: unknown) => {
  console.error(error);
  cover.textContent = wordsFor(error);
});

async function begin(): Promise<void> {
  const given = tokenFromFragment();
  // Kept for this window, so that it survives a reload although the address forgets it.
  if (given !== null) sessionStorage.setItem(TOKEN_KEY, given);
  let token = given ?? sessionStorage.getItem(TOKEN_KEY);
  const api = new Api(() => token);
  if (token === null) {
    const studio = await demoIdentity<Studio>(api, "/v1/demo/studio", STUDIO_KEY);
    if (studio === null) {
      cover.textContent = "Open this page with a creator's token: /studio#token=…";
      return;
    }
    token = studio.token;
  }
  try {
    await build(api);
  } catch (error) {
    sessionStorage.removeItem(STUDIO_KEY);
    sessionStorage.removeItem(TOKEN_KEY);
    throw error;
  }
}

async function build(api: Api): Promise<void> {
  const [earnings, catalog, rooms] = await Promise.all([
    api.get<Earnings>("/v1/creators/me/earnings"),
    api.get<Catalog>("/v1/catalog"),
    api.get<Rooms>("/v1/rooms"),
  ]);
  const own = rooms.rooms.filter((room) => room.creator === earnings.creator);
  const chart = chartCard(api, earnings.share);
  const money = earningsCards(earnings);
  const withdraw = withdrawCard(api, earnings, () => void refresh());
  cover.replaceWith(
    h(
      "header",
      { class: "head" },
      h("a", { class: "brand", href: "/studio" }, icon("gift", 26), h("span", {}, "Giftwire Studio")),
      h("div", { class: "grow" }),
      h("span", { class: "muted" }, own[0]?.creator_name ?? earnings.creator),
    ),
    h("main", { class: "studio" }, money.tiles, h("div", { class: "columns" }, h("div", { class: "column" }, chart.element, withdraw.element), h("div", { class: "column" }, money.share, overlayCard(api, catalog, own)))),
  );

  async function refresh(): Promise<void> {
    const now = await api.get<Earnings>("/v1/creators/me/earnings").catch(() => null);
    if (now === null) return;
    money.show(now);
    withdraw.show(now);
  }

  setInterval(() => {
    if (document.hidden) return;
    void refresh();
    void chart.refresh();
    void withdraw.refresh();
  }, REFRESH_MS);
}
