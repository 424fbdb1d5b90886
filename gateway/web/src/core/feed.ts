// The feed: one line for each gift, and one for a whole combo that counts up in its place.

import type { Event } from "../wire.ts";

export const LINES_MAX = 60;

export interface Line {
  key: string;
  name: string | null;
  user: string | null;
  level: number;
  gift: string | null;
  count: number;
  coins: number;
  message: string | null;
  /** A combo that still counts. */
  open: boolean;
  test: boolean;
  /** Of a gift that can be taken back. */
  id: string | null;
  /** It was taken back. */
  undone: boolean;
}

/** The lines after an event, the newest last; a combo's line stays where it is. */
export function merge(lines: readonly Line[], event: Event, number: number): readonly Line[] {
  if (event.kind === "summary") {
    return bounded([...lines, { ...NOBODY, key: `summary:${number}`, count: event.count, coins: event.coins }]);
  }
  if (event.kind === "undone") return lines.map((line) => (line.id === event.id ? { ...line, undone: true } : line));
  if (event.kind !== "gift") return lines;
  const { combo } = event;
  const at = combo ? lines.findIndex((line) => line.key === combo.id) : -1;
  const old = lines[at];
  if (combo && old) {
    const count = Math.max(old.count, combo.count);
    const coins = Math.max(old.coins, combo.coins);
    const now = { ...old, count, coins, message: event.message ?? old.message, open: combo.state !== "end" };
    return lines.map((line) => (line === old ? now : line));
  }
  if (event.count === 0) return lines;
  return bounded([
    ...lines,
    {
      key: combo?.id ?? `${event.seq}:${number}`,
      name: event.sender?.name ?? null,
      user: event.sender?.id ?? null,
      level: event.sender?.level ?? 0,
      gift: event.gift,
      count: combo?.count ?? event.count,
      coins: combo?.coins ?? event.coins,
      message: event.message ?? null,
      open: combo !== undefined && combo.state !== "end",
      test: event.test ?? false,
      id: event.undo_until_ms === undefined ? null : (event.id ?? null),
      undone: false,
    },
  ]);
}

const NOBODY = { name: null, user: null, level: 0, gift: null, message: null, open: false, test: false, id: null, undone: false };
const bounded = (lines: readonly Line[]): readonly Line[] => lines.slice(-LINES_MAX);
