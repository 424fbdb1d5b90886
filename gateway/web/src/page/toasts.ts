// Short messages that go away by themselves; spoken by screen readers.

import { h } from "./dom.ts";

const SHOWN_MS = 5_000;
/** Whoever is to press something needs to get there. */
const ACTION_SHOWN_MS = 12_000;
const TOASTS_MAX = 3;

const region = h("div", { class: "toasts", role: "status", "aria-live": "polite" });

export interface ToastAction {
  label: string;
  run: () => void;
}

export function toast(text: string, kind: "plain" | "good" | "bad" = "plain", action?: ToastAction): void {
  // In an open dialog the rest of the page is inert, so the messages go there.
  (document.querySelector("dialog[open]") ?? document.body).append(region);
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
  while (region.children.length > TOASTS_MAX) region.firstChild?.remove();
  setTimeout(() => box.remove(), action ? ACTION_SHOWN_MS : SHOWN_MS);
}
