// The overlay's link, made once and shown once, and a gift to try it with.

import { type Api, wordsFor } from "../net/api.ts";
import { h, icon } from "../page/dom.ts";
import { toast } from "../page/toasts.ts";
import type { Catalog, OverlayToken, OverlayTokenMade, OverlayTokens, Room, TrialGift, TrialGiftBody } from "../wire_http.ts";

export function overlayCard(api: Api, catalog: Catalog, rooms: readonly Room[]): HTMLElement {
  const room = h("select", { "aria-label": "Room" }, ...rooms.map((each) => h("option", { value: each.room }, each.title || each.room)));
  const link = h("input", { type: "text", readonly: true, "aria-label": "Overlay link", placeholder: "No link made yet", on: { focus: () => link.select() } });
  const copy = h("button", { type: "button", disabled: true, on: { click: () => void copyLink() } }, "Copy");
  const list = h("ul", { class: "tokens" });
  const gift = h("select", { "aria-label": "Gift to try" }, ...catalog.gifts.map((each) => h("option", { value: each.id }, each.name)));
  const times = h("input", { type: "number", min: 1, max: 9999, step: 1, value: 1, required: true, "aria-label": "How many" });
  const art = h("span", { class: "trialart" });
  const send = h("button", { type: "button", on: { click: () => void tryGift() } }, "Send test gift");

  function picture(): void {
    art.replaceChildren(icon(catalog.gifts.find((each) => each.id === gift.value)?.icon ?? "gift", 40));
  }

  async function make(): Promise<void> {
    try {
      const made = await api.post<OverlayTokenMade>("/v1/creators/me/overlay-tokens", { room: room.value, label: "Overlay" });
      link.value = location.origin + (made.overlay_path ?? `/overlay/${room.value}#token=${made.token}`);
      copy.disabled = false;
      await readTokens();
      await copyLink();
    } catch (error) {
      toast(wordsFor(error), "bad");
    }
  }

  async function copyLink(): Promise<void> {
    try {
      await navigator.clipboard.writeText(link.value);
      toast("The link is copied. Paste it into OBS as a browser source.", "good");
    } catch {
      link.select();
      toast("The link is marked: copy it by the keyboard.");
    }
  }

  async function readTokens(): Promise<void> {
    const { tokens } = await api.get<OverlayTokens>("/v1/creators/me/overlay-tokens");
    list.replaceChildren(...tokens.map(entry));
  }

  function entry(token: OverlayToken): HTMLElement {
    const made = new Date(token.created_ms).toLocaleString("en-US", { dateStyle: "medium", timeStyle: "short" });
    return h("li", { class: "row small" }, h("span", {}, `${token.label || "Overlay"} · ${token.room ?? "all rooms"}`, h("span", { class: "muted" }, ` · made ${made}`)), h("button", { class: "plain", type: "button", on: { click: () => void revoke(token) } }, "Take back"));
  }

  async function revoke(token: OverlayToken): Promise<void> {
    try {
      await api.delete(`/v1/creators/me/overlay-tokens/${token.jti}`);
      toast("No overlay can begin with that link any more.", "good");
      await readTokens();
    } catch (error) {
      toast(wordsFor(error), "bad");
    }
  }

  async function tryGift(): Promise<void> {
    if (!times.reportValidity()) return;
    send.disabled = true;
    try {
      const body: TrialGiftBody = { gift: gift.value, count: times.valueAsNumber, name: "Test", message: "This is a test." };
      await api.post<TrialGift>(`/v1/creators/me/rooms/${room.value}/test-gift`, body);
      toast("Sent. It shows on the overlay and counts nowhere.", "good");
    } catch (error) {
      toast(wordsFor(error), "bad");
    } finally {
      send.disabled = false;
    }
  }

  gift.addEventListener("change", picture);
  picture();
  readTokens().catch((error: unknown) => toast(wordsFor(error), "bad"));
  return h(
    "section",
    { class: "card block" },
    h("h2", {}, "Overlay"),
    h("p", { class: "muted small" }, "A browser source for OBS, 1920 × 1080, with a transparent ground. Whoever has the link sees every gift, so keep it to yourself."),
    rooms.length > 1 && h("label", { class: "field" }, h("span", {}, "Room"), room),
    h("div", { class: "pair" }, link, copy),
    h("button", { type: "button", on: { click: () => void make() } }, "Make a new link"),
    list,
    h("h3", {}, "Try it"),
    h("div", { class: "trial" }, art, gift, times, send),
  );
}
