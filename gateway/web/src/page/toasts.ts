// Short messages that go away by themselves; spoken by screen readers.

import { h } from "./dom.ts";

const SHOWN_MS = 5_000;
/** Whoever is to press something needs to get there. */
const ACTION_SHOWN_MS = 12_000;
const TOASTS_MAX = 3;

const region = h("div", { class: "toasts", role: "status", "aria-live": "polite" });

/** Those that stay until whoever pinned them takes them away. */
const pinned = new WeakSet<Element>();

export interface ToastAction {
  label: string;
  run: () => void;
}

export function toast(text: string, kind: "plain" | "good" | "bad" = "plain", action?: ToastAction): void {
  placeToasts();
  const same = [...region.children].find((old) => old.firstChild?.textContent === text);
  same?.remove();
  const box = h("div", { class: `toast ${kind}` }, h("span", {}, text));
  if (action) {
    const run = (): void => {
      box.remove();
      action.run();
    };
    box.append(h("button", { type: "button", on: { click: run } }, action.label));
  }
  region.append(box);
  const passing = [...region.children].filter((old) => !pinned.has(old));
  for (const old of passing.slice(0, -TOASTS_MAX)) old.remove();
  setTimeout(() => box.remove(), action ? ACTION_SHOWN_MS : SHOWN_MS);
}

/** Show something among the messages until it is removed. */
export function pin(box: HTMLElement): void {
  pinned.add(box);
  placeToasts();
  region.append(box);
}

/** In an open dialog the rest of the page is inert, so the messages go there, and come back when it closes. */
export function placeToasts(): void {
  const place = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  if (region.parentNode !== place) place.append(region);
}

document.addEventListener("close", placeToasts, true);
