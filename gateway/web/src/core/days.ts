// A creator's days for the chart: every day of the period, also those without a gift, and the steps of its scale.

import type { DayStatistics } from "../wire_http.ts";

const DAY_MS = 86_400_000;

/** The last `count` days (UTC) up to now, the oldest first. */
export function everyDay(days: readonly DayStatistics[], nowMs: number, count: number): DayStatistics[] {
  const known = new Map(days.map((day) => [day.day, day]));
  return Array.from({ length: count }, (_, index) => {
    const day = new Date(nowMs - (count - 1 - index) * DAY_MS).toISOString().slice(0, 10);
    return known.get(day) ?? { day, earned_diamonds: 0, gifts: 0 };
  });
}

/** Round steps from 0 up to at least `largest`: five at most. */
export function scale(largest: number): number[] {
  const least = Math.max(largest, 5) / 5;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = ([1, 2, 2.5, 5].find((times) => times * power >= least) ?? 10) * power;
  return Array.from({ length: Math.ceil(Math.max(largest, 5) / step) + 1 }, (_, index) => index * step);
}
