// Limits on spending: what a wish does, what is sent of a form, and what a refusal by a limit or an age says.

import assert from "node:assert/strict";
import { test } from "node:test";

import { beside, changes, effectOf, used } from "../src/core/limits.ts";
import { concernsLimits, refusal } from "../src/core/refusals.ts";
import type { SpendLimit, SpendLimits } from "../src/wire_http.ts";

const NONE: SpendLimit = { coins: null, operator_coins: null, own_coins: null, pending: null, spent_coins: null, resets_at_ms: null, age_coins: null };
const own = (coins: number | null, more: Partial<SpendLimit> = {}): SpendLimit => ({ ...NONE, coins, own_coins: coins, ...more });
const raised = (coins: number, to: number | null): SpendLimit => own(coins, { pending: { coins: to, from_ms: 9_000 } });
const limits = (more: Partial<SpendLimits>): SpendLimits => ({ gift: NONE, day: NONE, week: NONE, month: NONE, refused: null, ...more });

test("a first limit and a lower one hold at once, a higher one and none wait", () => {
  assert.equal(effectOf(NONE, 100), "at_once");
  assert.equal(effectOf(own(100), 99), "at_once");
  assert.equal(effectOf(own(100), 0), "at_once");
  assert.equal(effectOf(own(100), 101), "later");
  assert.equal(effectOf(own(100), null), "later");
  assert.equal(effectOf(own(100), 100), "same");
  assert.equal(effectOf(NONE, null), "same");
});

test("what waits already is no new wish, and the limit that holds takes it back", () => {
  assert.equal(effectOf(raised(100, 500), 500), "same");
  assert.equal(effectOf(raised(100, null), null), "same");
  assert.equal(effectOf(raised(100, 500), 100), "at_once");
  assert.equal(effectOf(raised(100, 500), 400), "later");
});

test("only the wishes that change something are sent", () => {
  const now = limits({ gift: own(100), day: raised(100, 500) });
  assert.deepEqual(changes(now, new Map([["gift", 100], ["day", 500], ["week", null], ["month", 0]])), { month_coins: 0 });
  assert.deepEqual(changes(now, new Map([["gift", null]])), { gift_coins: null });
  assert.equal(changes(now, new Map([["gift", 100], ["day", 500]])), null);
});

test("the limits of others stand beside one's own, the smallest first", () => {
  assert.deepEqual(beside({ ...NONE, operator_coins: 500, age_coins: 100 }).map((each) => each.whose), ["age", "operator"]);
  assert.deepEqual(beside(own(100)), []);
});

test("a bar is full at the limit, beyond it and where nothing may be spent", () => {
  assert.equal(used(own(100, { spent_coins: 25 })), 0.25);
  assert.equal(used(own(100, { spent_coins: 130 })), 1);
  assert.equal(used(own(0, { spent_coins: 0 })), 1);
  assert.equal(used(own(100)), null);
  assert.equal(used({ ...NONE, spent_coins: 5 }), null);
});

test("a passed limit is told with its numbers and its end", () => {
  const told = { limit: "week", limit_coins: 1_000, spent_coins: 900, resets_at_ms: Date.UTC(2026, 2, 2) };
  const words = refusal("limit_exceeded", "from the server", told, Date.UTC(2026, 1, 20));
  assert.match(words, /^You may spend 1,000 coins in a week, and 900 are spent\. Counting starts anew on Mar \d at \d\d:\d\d\.$/);
  assert.match(refusal("limit_exceeded", "", { ...told, limit: "creator_day" }), /^This creator takes 1,000 coins from you in a day/);
  assert.equal(refusal("limit_exceeded", "", { limit: "gift", limit_coins: 50 }), "A gift of yours may cost 50 coins at most.");
  assert.match(refusal("limit_exceeded", "Too much for a day."), /Too much for a day\.$/);
});

test("a refusal by age names the age, or the limits that are needed", () => {
  assert.match(refusal("under_age", "", { age_min: 18 }), /\b18\b/);
  assert.match(refusal("under_age"), /too young/);
  assert.match(refusal("guardian_needed", "", { age_min: 17 }), /Until you are 17, a guardian/);
  assert.match(refusal("own_limits_needed", "", { limits_needed: ["gift", "day"] }), /for a gift and a day before/);
});

test("the page of limits helps against one's own limits and not against a creator's", () => {
  assert.equal(concernsLimits("own_limits_needed", {}), true);
  assert.equal(concernsLimits("limit_exceeded", { limit: "day" }), true);
  assert.equal(concernsLimits("limit_exceeded", { limit: "creator_day" }), false);
  assert.equal(concernsLimits("under_age", { age_min: 18 }), false);
});

test("a withdrawal beyond its day's limit is not told as a limit on spending", () => {
  const words = refusal("limit_exceeded", "Too much for a day.", { limit: "payout_day", resets_at_ms: Date.UTC(2026, 2, 2) }, Date.UTC(2026, 1, 20));
  assert.match(words, /^Too much for a day\. Counting starts anew on Mar \d at \d\d:\d\d\.$/);
});

test("what the server says of a refusal is not told twice", () => {
  assert.equal(refusal("gift_not_available", "This gift needs level 5."), "This gift needs level 5.");
  assert.equal(refusal("not_allowed", "The token is for another room."), "The token is for another room.");
  assert.equal(refusal("gift_not_available"), "This gift cannot be sent here.");
});
