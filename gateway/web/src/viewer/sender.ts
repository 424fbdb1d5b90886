// The send bar: one press sends the chosen gift, more presses in time make a combo. Counts only what was accepted.

import { counted, current, left, type Run } from "../core/combo.ts";
import { due, postpone, put, renew, settle, type Order, type Outbox } from "../core/outbox.ts";
import { uuid7 } from "../core/uuid7.ts";
import { concernsLimits, refusal } from "../core/refusals.ts";
import { coins } from "../core/words.ts";
import { h, s } from "../page/dom.ts";
import { toast } from "../page/toasts.ts";
import { MESSAGE_LENGTH_MAX, type Accepted, type Refused } from "../wire.ts";
import type { CatalogGift } from "../wire_http.ts";

const PUMP_MS = 250;
const RING = 2 * Math.PI * 21;
const COUNTS = [1, 5, 10, 50];

export interface Wiring {
  room: string;
  chosen: () => CatalogGift | null;
  /** Send over the open connection; false when there is none. */
  send: (order: Order) => boolean;
  /** The coins do not suffice. */
  short: (missing: number) => void;
  /** A limit on spending forbids it, or lacks. */
  limited: (why: string) => void;
}

export interface Sender {
  element: HTMLElement;
  /** Draw anew: another gift was chosen, or the connection came or went. */
  refresh(online: boolean): void;
  joined(windowMs: number): void;
  /** Take the focus. */
  focus(): void;
  /** The gift that was accepted, where it was sent by this page. */
  accepted(message: Accepted): CatalogGift | undefined;
  refused(message: Refused): void;
}

export function sendBar(wiring: Wiring): Sender {
  let outbox: Outbox = [];
  let run: Run | null = null;
  let windowMs = 5_000;
  let online = false;
  let frame = 0;
  const sentGifts = new Map<string, CatalogGift>();

  const message = h("input", { type: "text", maxlength: MESSAGE_LENGTH_MAX, placeholder: "Add a message", "aria-label": "Message with the gift" });
  const anonymous = h("input", { type: "checkbox" });
  const count = h("select", { "aria-label": "How many" }, ...COUNTS.map((n) => h("option", { value: n }, `×${n}`)));
  const send = h("button", { class: "primary send", type: "submit" }, "Send");
  const arc = s("circle", { class: "arc", cx: 25, cy: 25, r: 21, "stroke-dasharray": RING });
  const tally = h("span", { class: "tally number" });
  const combo = h(
    "button",
    { class: "combo hidden", type: "button", "aria-label": "Send once more in this combo", on: { click: () => give(run?.gift) } },
    s("svg", { viewBox: "0 0 50 50", "aria-hidden": "true" }, s("circle", { class: "track", cx: 25, cy: 25, r: 21 }), arc),
    h("span", { class: "word" }, "COMBO"),
    tally,
  );
  const form = h(
    "form",
    { class: "sendbar", on: { submit: (event) => (event.preventDefault(), give(undefined)) } },
    message,
    h("label", { class: "check" }, anonymous, "Anonymous"),
    h("div", { class: "sends" }, count, send, combo),
  );

  function give(comboGift: string | undefined): void {
    const gift = wiring.chosen();
    if (!gift || !online || (comboGift !== undefined && comboGift !== gift.id)) return;
    const order: Order = { id: uuid7(), room: wiring.room, gift: gift.id, count: Number(count.value), combo: gift.combo };
    if (message.value.trim()) order.message = message.value.trim();
    if (anonymous.checked) order.anonymous = true;
    const next = put(outbox, order, Date.now());
    if (next === null) return toast("Wait a moment: many gifts are still on their way.");
    outbox = next;
    sentGifts.set(order.id, gift);
    message.value = "";
    pump();
  }

  function pump(): void {
    draw();
    if (!online) return;
    const now = due(outbox, Date.now());
    if (now.send.every((order) => wiring.send(order))) outbox = now.outbox;
  }

  function forget(id: string): CatalogGift | undefined {
    outbox = settle(outbox, id);
    const gift = sentGifts.get(id);
    sentGifts.delete(id);
    return gift;
  }

  function draw(): void {
    const gift = wiring.chosen();
    run = current(run, Date.now());
    const running = run !== null && gift?.id === run.gift;
    const held = document.activeElement === combo;
    combo.classList.toggle("hidden", !running);
    send.classList.toggle("hidden", running);
    count.disabled = !gift?.combo;
    if (!gift?.combo) count.value = "1";
    send.disabled = !online || gift === null;
    if (held && !running) send.focus();
    combo.disabled = !online;
    send.classList.toggle("busy", outbox.length > 0);
    combo.classList.toggle("busy", outbox.length > 0);
    const total = gift ? gift.price_coins * Number(count.value) : 0;
    send.textContent = !online ? "Connecting…" : outbox.length > 0 ? "Sending…" : gift ? `Send · ${coins(total)}` : "Send";
    if (running && run) {
      tally.textContent = `×${coins(run.count)}`;
      arc.style.strokeDashoffset = String(RING * (1 - left(run, Date.now(), windowMs)));
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(draw);
    }
  }

  count.addEventListener("change", draw);
  setInterval(pump, PUMP_MS);

  return {
    element: form,
    refresh(isOnline) {
      online = isOnline;
      draw();
    },
    focus() {
      (combo.classList.contains("hidden") ? send : combo).focus();
    },
    joined(comboWindowMs) {
      windowMs = comboWindowMs;
      online = true;
      outbox = renew(outbox, Date.now());
      pump();
    },
    accepted(reply) {
      const gift = forget(reply.id);
      if (!gift) return undefined;
      const order = reply.combo ? { gift: gift.id, combo: reply.combo } : { gift: gift.id };
      const focused = document.activeElement === send;
      run = counted(run, order, Date.now(), windowMs);
      draw();
      // Whoever sent by the keyboard goes on with the combo by the same key.
      if (focused && !combo.classList.contains("hidden")) combo.focus();
      combo.classList.remove("beat");
      void combo.offsetWidth;
      combo.classList.add("beat");
      return gift;
    },
    refused(reply) {
      if (reply.id === undefined || !sentGifts.has(reply.id)) return toast(refusal(reply.code, reply.message), "bad");
      if (reply.retryable) {
        const later = postpone(outbox, reply.id, Date.now(), reply.retry_after_ms ?? 1_000);
        if (later !== null) {
          outbox = later;
          return toast(refusal(reply.code, reply.message));
        }
      }
      const order = outbox.find((pending) => pending.order.id === reply.id)?.order;
      const gift = forget(reply.id);
      draw();
      const why = refusal(reply.code, reply.message, reply);
      if (concernsLimits(reply.code, reply)) return wiring.limited(why);
      if (reply.code !== "insufficient_coins") return toast(why, "bad");
      wiring.short((gift?.price_coins ?? 0) * (order?.count ?? 1) - (reply.balance_coins ?? 0));
    },
  };
}
