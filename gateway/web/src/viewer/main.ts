// The viewer's page of one room: puts the parts together and gives each the messages that concern it.

import { type Ahead, heardTime } from "../core/clock.ts";
import { refusal } from "../core/refusals.ts";
import { coins, short } from "../core/words.ts";
import { afterJoined, advance, fresh, isPlaced, type Shown } from "../core/seen.ts";
import { Api, wordsFor } from "../net/api.ts";
import { Connection, type Status } from "../net/connection.ts";
import { h, icon } from "../page/dom.ts";
import { demoIdentity, keptToken } from "../page/identity.ts";
import { toast } from "../page/toasts.ts";
import { CLOSE, type Event, type Events, type Joined, type ServerMessage, type Welcome } from "../wire.ts";
import type { Catalog, Guest, Wallet } from "../wire_http.ts";
import { shop } from "./buy.ts";
import { giftFeed } from "./feed.ts";
import { limitsPage } from "./limits.ts";
import { giftPanel } from "./panel.ts";
import { sendBar } from "./sender.ts";
import { giftStage } from "./stage.ts";
import { topList } from "./top.ts";
import { undoOffers } from "./undo.ts";

const GUEST_KEY = "giftwire.guest";
const room = decodeURIComponent(location.pathname.split("/")[2] ?? "");
/** Of this room: in another one the same window may be somebody else. */
const TOKEN_KEY = `giftwire.viewer.token.${room}`;

const cover = h("p", { class: "cover muted", role: "status" }, "One moment…");
document.body.append(cover);
begin().catch((error: unknown) => {
  console.error(error);
  cover.textContent = wordsFor(error);
});

async function begin(): Promise<void> {
  let token = keptToken(TOKEN_KEY);
  const api = new Api(() => token);
  if (token === null) {
    const guest = await demoIdentity<Guest>(api, "/v1/demo/guest", GUEST_KEY);
    if (guest === null) {
      cover.textContent = "Open this page with a viewer's token: …#token=…";
      return;
    }
    token = guest.token;
  }
  const catalog = await api.get<Catalog>("/v1/catalog");
  build(api, catalog, () => token);
}

function build(api: Api, catalog: Catalog, token: () => string): void {
  const gifts = new Map(catalog.gifts.map((gift) => [gift.id, gift]));
  const giftOf = (id: string) => gifts.get(id);
  let user = "";
  let level = 0;
  let balanceCoins = 0;
  let shown: Shown | null = null;
  let ahead: Ahead = null;

  const store = shop(api, (purchase) => {
    toast(`${coins(purchase.coins + purchase.bonus_coins)} coins are in your wallet.`, "good");
    void readLevel();
  });
  const limits = limitsPage(api);
  const feed = giftFeed(giftOf, () => user);
  const stage = giftStage(giftOf);
  const top = topList(() => user);
  const panel = giftPanel(catalog, () => sender.refresh(connection.online));
  const sender = sendBar({
    room,
    chosen: () => panel.chosen(),
    send: (order) => link.send({ type: "gift", ref: link.ref(), ...order }),
    short: (missing) => toast(refusal("insufficient_coins"), "bad", { label: "Get coins", run: () => store.open(missing) }),
    limited: (why) => toast(why, "bad", { label: "Your limits", run: () => limits.open() }),
  });
  const undos = undoOffers({
    ask: (id) => {
      const ref = link.ref();
      return link.send({ type: "undo", ref, id }) ? ref : null;
    },
    serverMs: () => (ahead === null ? null : performance.now() + ahead),
    home: () => sender.focus(),
  });
  const connection = { online: false };
  const balance = h("span", { class: "number" }, "–");
  const wallet = h("button", { class: "wallet", type: "button", "aria-label": "Get coins", on: { click: () => store.open() } }, icon("coin", 20), balance, h("span", { class: "plus" }, "+"));
  const bounds = h("button", { class: "plain", type: "button", "aria-haspopup": "dialog", "aria-label": "Your spending limits", on: { click: () => limits.open() } }, "Limits");
  const title = h("h1", {}, room);
  const creator = h("p", { class: "muted small" });
  const initial = h("span", { class: "initial", "aria-hidden": "true" });
  const viewers = h("span", { class: "number" }, "–");
  const state = h("span", { class: "state", role: "status" });

  const link = new Connection({
    room,
    client: "giftwire-viewer",
    token,
    since: () => shown,
    listener: { status, welcome, joined, events, other, turnedAway: ({ code, message }) => leave(refusal(code, message)) },
  });

  function status(now: Status, code?: number): void {
    connection.online = now === "open";
    wallet.classList.toggle("old", !connection.online);
    wallet.title = connection.online ? "" : "As it was when the connection was lost";
    state.textContent = now === "open" ? "" : now === "stopped" ? "Disconnected" : "Reconnecting…";
    sender.refresh(connection.online);
    if (now !== "stopped") return;
    if (code === CLOSE.BAD_TOKEN || code === CLOSE.TOKEN_EXPIRED) {
      sessionStorage.removeItem(GUEST_KEY);
      sessionStorage.removeItem(TOKEN_KEY);
      toast(refusal("token_expired"), "bad", { label: "Reload", run: () => location.reload() });
    } else toast("The server closed the connection.", "bad", { label: "Reload", run: () => location.reload() });
  }

  function welcome(message: Welcome): void {
    user = message.user;
    ahead = heardTime(null, message.server_time_ms, performance.now());
    setBalance(message.balance_coins);
  }

  function leave(why: string): void {
    document.querySelectorAll("main, .head").forEach((part) => part.remove());
    cover.textContent = why;
    document.body.append(cover);
  }

  function joined(message: Joined): void {
    shown = afterJoined(shown, message);
    const { state: now } = message;
    title.textContent = now.title || now.room;
    creator.textContent = now.creator_name;
    initial.textContent = now.creator_name.slice(0, 1).toUpperCase();
    document.title = `${now.title || now.room} · Giftwire`;
    viewers.textContent = short(now.viewers);
    top.show(now.leaderboard);
    sender.joined(now.combo_window_ms);
    undos.joined();
    void readLevel();
  }

  function events(message: Events): void {
    shown ??= { epoch: message.epoch, seq: message.seq - 1, apart: [] };
    const unseen = new Set<Event>(fresh(shown, message));
    const told = message.events.filter((event) => !isPlaced(event) || unseen.has(event));
    shown = advance(shown, message, []);
    feed.take(told);
    stage.take(told);
    for (const event of told) {
      if (event.kind === "leaderboard") top.show(event.entries);
      if (event.kind === "undone") undos.told(event.id);
      if (event.kind === "room") viewers.textContent = short(event.viewers);
    }
  }

  function other(message: ServerMessage): void {
    if (message.type === "accepted") {
      const gift = sender.accepted(message);
      setBalance(message.balance_coins);
      if (gift) undos.accepted(message, gift);
    } else if (message.type === "undone") {
      setBalance(message.balance_coins);
      undos.undone(message);
    } else if (message.type === "pong") {
      ahead = heardTime(ahead, message.server_time_ms, performance.now());
    } else if (message.type === "refused") {
      setBalance(message.balance_coins);
      if (!undos.refused(message)) sender.refused(message);
    } else if (message.type === "balance") setBalance(message.balance_coins);
  }

  function setBalance(amount: number | undefined): void {
    if (amount === undefined) return;
    if (amount > balanceCoins) wallet.classList.add("rose");
    setTimeout(() => wallet.classList.remove("rose"), 900);
    balanceCoins = amount;
    balance.textContent = coins(amount);
    panel.allow(balanceCoins, level);
  }

  /** The level only: the balance in the answer may be older than what the socket has told by the time it is here. */
  async function readLevel(): Promise<void> {
    const now = await api.get<Wallet>("/v1/wallet").catch(() => null);
    if (now === null) return;
    level = now.level;
    panel.allow(balanceCoins, level);
  }

  cover.replaceWith(
    h("header", { class: "head" }, h("a", { class: "brand", href: location.pathname, "aria-label": "Giftwire" }, icon("gift", 26), h("span", {}, "Giftwire")), h("div", { class: "grow" }), state, bounds, wallet),
    h(
      "main",
      { class: "room" },
      h(
        "section",
        { class: "stage card", "aria-label": "Stage" },
        h("div", { class: "backdrop", "aria-hidden": "true" }, initial),
        h("div", { class: "about" }, h("span", { class: "live" }, "LIVE"), h("div", {}, title, creator), h("span", { class: "watching", title: "Viewers" }, "◉ ", viewers)),
        stage.element,
        feed.element,
      ),
      top.element,
      h("section", { class: "give card", "aria-label": "Send a gift" }, panel.element, sender.element),
    ),
  );
  link.start();
}
