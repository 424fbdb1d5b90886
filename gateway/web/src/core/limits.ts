// A viewer's limits on spending: what a new wish of one's own would do, and which wishes a form stands for.

import type { SpendLimit, SpendLimits, SpendLimitsBody } from "../wire_http.ts";

export const PERIODS = ["gift", "day", "week", "month"] as const;
export type Period = (typeof PERIODS)[number];
/** A limit of one's own: coins, or null for none. */
export type Wish = number | null;

/** When a wish would hold: it changes nothing, it holds from the answer on, or after the time that a raise waits. */
export type Effect = "same" | "at_once" | "later";

export function effectOf(limit: SpendLimit, wish: Wish): Effect {
  if (limit.pending !== null && limit.pending.coins === wish) return "same";
  if (limit.pending === null && limit.own_coins === wish) return "same";
  return higher(wish, limit.own_coins) ? "later" : "at_once";
}

/** The body for the wishes that change something; null when none does. */
export function changes(limits: SpendLimits, wishes: ReadonlyMap<Period, Wish>): SpendLimitsBody | null {
  const changed = [...wishes].filter(([period, wish]) => effectOf(limits[period], wish) !== "same");
  return changed.length === 0 ? null : Object.fromEntries(changed.map(([period, wish]) => [`${period}_coins`, wish]));
}

/** Whose limits hold beside one's own, the smallest first. */
export function beside(limit: SpendLimit): { coins: number; whose: "operator" | "age" }[] {
  const all = [
    { coins: limit.operator_coins, whose: "operator" as const },
    { coins: limit.age_coins, whose: "age" as const },
  ];
  return all.filter((one): one is { coins: number; whose: "operator" | "age" } => one.coins !== null).sort((a, b) => a.coins - b.coins);
}

/** What of a limit is spent, from 0 to 1; null where nothing is counted or nothing limits it. */
export function used(limit: SpendLimit): number | null {
  if (limit.coins === null || limit.spent_coins === null) return null;
  return limit.coins === 0 ? 1 : Math.min(1, limit.spent_coins / limit.coins);
}

/** Whether one limit allows more than another; none allows all. */
function higher(wanted: Wish, than: Wish): boolean {
  return than !== null && (wanted === null || wanted > than);
}
