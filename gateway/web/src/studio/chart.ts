// Earnings by day as bars.

import { everyDay, scale } from "../core/days.ts";
import { coins, short } from "../core/words.ts";
import type { Api } from "../net/api.ts";
import { h, s } from "../page/dom.ts";
import type { AgencyStatistics, DayStatistics, Statistics } from "../wire_http.ts";
import { type Payee, type Rate, worth } from "./payee.ts";

const DAYS = 30;
const [WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP] = [720, 230, 4, 54, 24, 10];

export function chartCard(api: Api, { path, rate }: Payee): { element: HTMLElement; refresh: () => Promise<void> } {
  const picture = h("div", { class: "chart" });
  const detail = h("span", { class: "muted small", role: "status" });
  let drawn = "";

  async function refresh(): Promise<void> {
    const now = await api.get<Statistics | AgencyStatistics>(`${path}/statistics?days=${DAYS}`).catch(() => null);
    if (now === null) return;
    const days = everyDay(now.days, Date.now(), DAYS);
    const key = JSON.stringify(days);
    if (key === drawn) return;
    drawn = key;
    picture.replaceChildren(draw(days, rate, (text) => (detail.textContent = text)));
    // Where it does not fit, today is what matters; the scale stands on its side.
    picture.scrollLeft = picture.scrollWidth;
  }

  void refresh();
  return {
    element: h("section", { class: "card block" }, h("div", { class: "row" }, h("h2", {}, `Last ${DAYS} days`), detail), picture),
    refresh,
  };
}

function draw(days: readonly DayStatistics[], rate: Rate, tell: (text: string) => void): SVGElement {
  const marks = scale(Math.max(...days.map((day) => day.earned_diamonds)));
  const top = marks.at(-1)!;
  const y = (diamonds: number): number => HEIGHT - BOTTOM - (diamonds / top) * (HEIGHT - BOTTOM - TOP);
  const slot = (WIDTH - LEFT - RIGHT) / days.length;
  const lines = marks.flatMap((mark) => {
    const at = y(mark);
    return [
      s("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at }),
      s("text", { class: "axis", x: WIDTH - RIGHT + 8, y: at + 4 }, short(mark, 2)),
    ];
  });
  const bars = days.map((day, index) => {
    const height = Math.max(day.earned_diamonds > 0 ? 3 : 0, y(0) - y(day.earned_diamonds));
    const text = `${date(day.day)}: ${coins(day.earned_diamonds)} diamonds (${worth(day.earned_diamonds, rate)}), ${coins(day.gifts)} ${day.gifts === 1 ? "gift" : "gifts"}`;
    const bar = s(
      "g",
      { class: "day" },
      s("title", {}, text),
      s("rect", { class: "hit", x: LEFT + index * slot, y: TOP, width: slot, height: HEIGHT - BOTTOM - TOP }),
      s("rect", { class: "bar", x: LEFT + index * slot + slot * 0.16, y: y(0) - height, width: slot * 0.68, height, rx: 3 }),
    );
    bar.addEventListener("pointerenter", () => tell(text));
    return bar;
  });
  const labels = days.flatMap((day, index) =>
    (days.length - 1 - index) % 7 ? [] : [s("text", { class: "axis", x: LEFT + (index + 0.5) * slot, y: HEIGHT - 6, "text-anchor": "middle" }, date(day.day))],
  );
  const total = days.reduce((sum, day) => sum + day.earned_diamonds, 0);
  return s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Earned in ${days.length} days: ${coins(total)} diamonds` }, ...lines, ...bars, ...labels);
}

function date(day: string): string {
  return new Date(`${day}T00:00:00Z`).toLocaleDateString("en-US", { month: "short", day: "numeric", timeZone: "UTC" });
}
