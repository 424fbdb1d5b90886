// The top list: who gave most in this room.

import { coins } from "../core/words.ts";
import { h, icon } from "../page/dom.ts";
import type { TopEntry } from "../wire.ts";

const SHOWN_MAX = 10;

export function topList(self: () => string): { element: HTMLElement; show: (entries: readonly TopEntry[]) => void } {
  const list = h("ol", { class: "top" });
  const empty = h("p", { class: "muted small nobody" }, "Nobody has sent a gift yet. Be the first.");
  return {
    element: h("section", { class: "card toplist", "aria-label": "Top gifters" }, h("h2", {}, "Top gifters"), empty, list),
    show(entries) {
      empty.classList.toggle("hidden", entries.length > 0);
      list.replaceChildren(
        ...entries.slice(0, SHOWN_MAX).map((entry, index) =>
          h(
            "li",
            { class: entry.user === self() ? "mine" : "" },
            h("span", { class: `rank rank${index + 1}` }, String(index + 1)),
            h("span", { class: "who" }, entry.name, (entry.level ?? 0) > 0 && h("span", { class: "level" }, String(entry.level))),
            h("span", { class: "coins small" }, icon("coin", 14), coins(entry.coins)),
          ),
        ),
      );
    },
  };
}
