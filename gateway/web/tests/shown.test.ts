// What people read: the feed, words, days of a chart, and a drawing for every gift.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ANIMATIONS } from "../drawings/animations.ts";
import { lottie } from "../drawings/lottie.ts";
import { ICONS } from "../drawings/pictures/icons.ts";
import { everyDay, scale } from "../src/core/days.ts";
import { LINES_MAX, merge, type Line } from "../src/core/feed.ts";
import { refusal } from "../src/core/refusals.ts";
import { moment, price } from "../src/core/words.ts";
import type { Event } from "../src/wire.ts";
import { dear, gift, step, undone } from "./events.ts";

const CATALOG = readFileSync("../../catalog/data/gifts.toml", "utf8");
const named = (field: string): string[] => [...CATALOG.matchAll(new RegExp(`^${field} = "(.*)"$`, "gm"))].map((match) => match[1]!);
const feed = (...events: Event[]): readonly Line[] => events.reduce<readonly Line[]>((lines, event, i) => merge(lines, event, i), []);

test("a combo is one line that counts up where it stands", () => {
  const lines = feed(step(1, 1), gift(2), step(3, 2), step(4, 3));
  assert.deepEqual(lines.map((line) => line.count), [3, 1]);
  assert.equal(lines[0]?.open, true);
});

test("the end of a combo closes its line and counts nothing", () => {
  const lines = feed(step(1, 1), step(2, 2), step(3, 2, "end"));
  assert.deepEqual(lines.map((line) => [line.count, line.open]), [[2, false]]);
});

test("the end of a combo that was never seen is no line", () => {
  assert.deepEqual(feed(step(9, 5, "end")), []);
});

test("a summary is a line without a sender", () => {
  assert.deepEqual(feed({ kind: "summary", gifts: 3, count: 40, coins: 90 }).map((line) => [line.gift, line.count]), [[null, 40]]);
});

test("a gift that is taken back is struck out where it stands, and no other", () => {
  const lines = feed(dear(1, "a"), dear(2, "b"), gift(3), undone(4, "a"));
  assert.deepEqual(lines.map((line) => line.undone), [true, false, false]);
  assert.deepEqual(feed(gift(3), undone(4, "a")).length, 1);
});

test("the feed keeps its last lines", () => {
  const lines = feed(...Array.from({ length: LINES_MAX + 1 }, (_, i) => gift(i + 1)));
  assert.equal(lines.length, LINES_MAX);
  assert.equal(lines[0]?.key, "2:1");
});

test("prices follow the decimals of their currency", () => {
  assert.equal(price(129, "USD", 2), "$1.29");
  assert.equal(price(200, "JPY", 0), "¥200");
  assert.equal(price(400, "KWD", 3).replace(/\s/, " "), "KWD 0.400");
});

test("a refusal that knows more says so", () => {
  assert.match(refusal("not_allowed", "You are blocked here."), /blocked here/);
  assert.doesNotMatch(refusal("unavailable", "pg down"), /pg down/);
  assert.equal(refusal("code_of_tomorrow", "Try later."), "Try later.");
});

test("a moment is said by the clock of its reader", () => {
  const now = Date.UTC(2026, 2, 1, 23, 30);
  assert.equal(moment(now + 600_000, now, "UTC"), "today at 23:40");
  assert.equal(moment(now + 1_800_000, now, "UTC"), "tomorrow at 00:00");
  assert.equal(moment(now + 1_800_000, now, "Asia/Tokyo"), "today at 09:00");
  assert.equal(moment(now + 7 * 86_400_000, now, "UTC"), "on Mar 8 at 23:30");
});

test("a chart has every day, also those without a gift", () => {
  const days = everyDay([{ day: "2026-03-01", earned_diamonds: 50, gifts: 1 }], Date.UTC(2026, 2, 2, 12), 3);
  assert.deepEqual(days.map((day) => [day.day, day.earned_diamonds]), [["2026-02-28", 0], ["2026-03-01", 50], ["2026-03-02", 0]]);
});

test("a scale has at most five round steps and holds the largest", () => {
  assert.deepEqual(scale(0), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(scale(2_080_400), [0, 500_000, 1_000_000, 1_500_000, 2_000_000, 2_500_000]);
  for (const largest of [1, 7, 99, 100, 101, 12_345, 999_999]) {
    assert.ok(scale(largest).at(-1)! >= largest && scale(largest).length <= 6, String(largest));
  }
});

test("every icon and animation of the catalogue is drawn", () => {
  assert.deepEqual(named("icon").filter((name) => !(name in ICONS)), []);
  assert.deepEqual(named("animation").filter((name) => !(name in ANIMATIONS)), []);
  assert.ok(named("icon").length >= 30);
});

test("every animation has only numbers in its file and uses only pictures that it shares", () => {
  for (const [name, animation] of Object.entries(ANIMATIONS)) {
    const text = lottie(animation);
    assert.ok(!/null|NaN/.test(text), name);
    const flown = animation.layers.flatMap(({ content }) => ("flight" in content ? content.flight.layers : []));
    const used = [...animation.layers, ...flown].flatMap(({ content }) => ("use" in content ? [content.use] : []));
    assert.deepEqual(used.filter((use) => !(use in animation.shared)), [], name);
  }
});
