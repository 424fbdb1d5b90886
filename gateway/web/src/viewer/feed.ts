// The feed over the stage: draws the lines of core/feed, each once, and brings them up to date in place.

import { type Line, merge } from "../core/feed.ts";
import { coins } from "../core/words.ts";
import { h, icon } from "../page/dom.ts";
import type { Event } from "../wire.ts";
import type { CatalogGift } from "../wire_http.ts";

export interface Feed {
  element: HTMLElement;
  take(events: readonly Event[]): void;
}

export function giftFeed(giftOf: (id: string) => CatalogGift | undefined, self: () => string): Feed {
  let lines: readonly Line[] = [];
  let number = 0;
  const drawn = new Map<string, { line: Line; element: HTMLElement }>();
  const list = h("ol", { class: "feed", role: "log", "aria-label": "Gifts in this room", "aria-live": "polite", tabindex: "0" });

  function draw(line: Line): HTMLElement {
    const gift = line.gift === null ? undefined : giftOf(line.gift);
    const who = line.gift === null ? "Many small gifts" : (line.name ?? "Someone");
    const mine = line.user !== null && line.user === self();
    return h(
      "li",
      { class: `line${mine ? " mine" : ""}${line.open ? " open" : ""}${line.undone ? " undone" : ""}`, vars: { "--tint": gift?.colour ?? "#7c5cff" } },
      icon(gift?.icon ?? "gift", 30),
      h(
        "span",
        { class: "what" },
        h("b", {}, who),
        line.level > 0 && h("span", { class: "level" }, String(line.level)),
        " ",
        h(line.undone ? "s" : "span", { class: "muted" }, gift?.name ?? line.gift ?? ""),
        line.undone && " ",
        line.undone && h("span", { class: "level" }, "taken back"),
        line.test && h("span", { class: "level" }, "TEST"),
        line.message !== null && !line.undone && h("q", {}, line.message),
      ),
      line.count > 1 && h("span", { class: "times number" }, `×${coins(line.count)}`),
    );
  }

  function show(): void {
    const stays = new Set(lines.map((line) => line.key));
    for (const [key, old] of drawn) {
      if (stays.has(key)) continue;
      old.element.remove();
      drawn.delete(key);
    }
    for (const line of lines) {
      const old = drawn.get(line.key);
      if (old?.line === line) continue;
      const element = draw(line);
      if (old) {
        if (line.count > old.line.count) element.classList.add("counted");
        else element.classList.add("still");
        old.element.replaceWith(element);
      } else list.append(element);
      drawn.set(line.key, { line, element });
    }
  }

  return {
    element: list,
    take(events) {
      const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
      for (const event of events) lines = merge(lines, event, ++number);
      show();
      if (atEnd) list.scrollTop = list.scrollHeight;
    },
  };
}
