// The overlay for OBS: every gift of a room, one at a time, each exactly once, however often the page or the network dies.

import { EMPTY, add, forgetPlaces, nextMs, takeBack, tick, waitingSeqs, type Alert, type Queue } from "../core/alerts.ts";
import { advance, afterJoined, fresh, leftOut, type Shown } from "../core/seen.ts";
import { refusal } from "../core/refusals.ts";
import { Api } from "../net/api.ts";
import { Connection, type Status } from "../net/connection.ts";
import { h } from "../page/dom.ts";
import { tokenFromFragment } from "../page/identity.ts";
import { CLOSE, type Events, type Joined, type Position } from "../wire.ts";
import type { Catalog, CatalogGift } from "../wire_http.ts";
import { alertBox } from "./alert.ts";

const DURATION_MS = 5_000;
/** A gift that is not in the catalogue any more is shown all the same. */
const UNKNOWN: Omit<CatalogGift, "id" | "name"> = {
  price_coins: 0, tier: 1, combo: false, icon: "gift", colour: "#ff4d7d", animation: "gift", effect: "float",
  duration_ms: DURATION_MS, level_min: 0, fans_only: false, on_video: false,
};

const room = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const key = `giftwire.overlay.${room}`;
const options = new URLSearchParams(`${location.search.slice(1)}&${location.hash.slice(1)}`);
const light = h("div", { class: "light", role: "status" });
if (options.get("light") === "off") light.classList.add("hidden");

/** The fragment stays in the address: OBS reloads the page from it. It is sent to nobody. */
const token = tokenFromFragment(true);
document.body.append(light);
if (token === null) light.textContent = "The overlay's address lacks #token=…: copy it anew from the studio.";
else void begin(token);

async function begin(token: string): Promise<void> {
  const gifts = await catalogGifts();
  const box = alertBox();
  document.body.append(box.element);
  let shown: Shown | null = stored();
  let heard: Position | null = shown;
  let queue: Queue = EMPTY;
  let drawn: Alert | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let acked = -1;

  const giftOf = (id: string): CatalogGift => gifts.get(id) ?? { ...UNKNOWN, id, name: id };
  const link = new Connection({
    room,
    client: "giftwire-overlay",
    token: () => token,
    // What waits in the queue came in already, so that it is asked for again only after a reload.
    since: () => (heard === null ? null : { epoch: heard.epoch, seq: heard.seq }),
    listener: { status, joined, events, turnedAway: ({ code, message }) => away(refusal(code, message)) },
  });

  function away(why: string): void {
    light.classList.add("on", "dead");
    light.textContent = why;
  }

  function status(now: Status, code?: number): void {
    light.classList.toggle("on", now !== "open");
    light.classList.toggle("dead", now === "stopped");
    light.textContent =
      now !== "stopped" ? "" : code === CLOSE.REPLACED ? "Shown elsewhere" : "Not allowed: make a new overlay link in the studio";
  }

  function joined(message: Joined): void {
    const before = shown;
    const missed = leftOut(shown, message);
    // For the streamer, in OBS's log, and not for the audience.
    if (missed !== 0) console.warn(`giftwire: ${missed ?? "an unknown number of"} older events of ${room} are not shown: too long ago, or too many`);
    shown = afterJoined(shown, message);
    // The server could not go on from there (or it never was asked to): what it gives, or the present, counts from here.
    if (shown !== before) queue = forgetPlaces(queue);
    if (heard === null || shown !== before) heard = { epoch: shown.epoch, seq: shown.seq };
    keep();
  }

  function events(message: Events): void {
    shown ??= { epoch: message.epoch, seq: message.seq, apart: [] };
    if (message.epoch !== shown.epoch) queue = forgetPlaces(queue);
    const known = heard?.epoch === message.epoch ? heard.seq : -1;
    for (const event of fresh(shown, message)) {
      if (event.seq <= known) continue;
      queue = event.kind === "gift" ? add(queue, event, Date.now()) : takeBack(queue, event.id, Date.now());
    }
    heard = { epoch: message.epoch, seq: Math.max(known, message.seq) };
    step();
  }

  /** Show what is due, and note it before anything else can happen. */
  function step(): void {
    clearTimeout(timer);
    queue = tick(queue, Date.now(), (alert) => Math.max(giftOf(alert.gift).duration_ms, DURATION_MS));
    keep();
    if (queue.showing !== drawn) {
      if (queue.showing === null) box.hide();
      else if (queue.showing.key === drawn?.key) box.update(queue.showing);
      else box.show(queue.showing, giftOf(queue.showing.gift), queue.endsMs - Date.now());
      drawn = queue.showing;
    }
    const at = nextMs(queue);
    if (at !== null) timer = setTimeout(step, Math.max(10, at - Date.now()));
  }

  function keep(): void {
    if (shown === null || heard === null) return;
    shown = advance(shown, heard, waitingSeqs(queue));
    localStorage.setItem(key, JSON.stringify(shown));
    if (shown.seq !== acked && link.send({ type: "ack", room, seq: shown.seq })) acked = shown.seq;
  }

  link.start();
}

/** Where the last page of this room left off. After a reload what was heard but not shown has to be heard again. */
function stored(): Shown | null {
  try {
    const found = JSON.parse(localStorage.getItem(key) ?? "null") as Shown | null;
    return found !== null && Number.isInteger(found.seq) && Array.isArray(found.apart) ? found : null;
  } catch {
    return null;
  }
}

async function catalogGifts(): Promise<Map<string, CatalogGift>> {
  const api = new Api(() => null);
  for (;;) {
    try {
      const catalog = await api.get<Catalog>("/v1/catalog");
      return new Map(catalog.gifts.map((gift) => [gift.id, gift]));
    } catch {
      light.classList.add("on");
      await new Promise((resolve) => setTimeout(resolve, 2_000 + 3_000 * Math.random()));
    }
  }
}
