// Taking a dear gift back: offers that end by the server's clock, and wishes that are asked for until they are answered.

import assert from "node:assert/strict";
import { test } from "node:test";

import { heardTime } from "../src/core/clock.ts";
import {
  ASKS_MAX, OFFERS_MAX, REPLY_MS, askedFor, askedUnder, due, offered, postponed, renewed, secondsLeft, standing, wanted, without,
  type Offer, type Offers,
} from "../src/core/undos.ts";

const offer = (id: string, untilMs = 10_000): Offer => ({ id, name: "Lion", coins: 29_999, untilMs, asked: null });
const ids = (offers: Offers): string[] => offers.map((each) => each.id);

test("an offer stands until its time by the server's clock, and its seconds are rounded", () => {
  const offers = offered([], offer("a"));
  assert.deepEqual(ids(standing(offers, 9_999)), ["a"]);
  assert.deepEqual(ids(standing(offers, 10_000)), []);
  assert.deepEqual([-20, 0, 499, 501, 9_400, 9_999, 12_000].map((ms) => secondsLeft(offer("a"), ms)), [10, 10, 10, 9, 1, 0, 0]);
});

test("a gift is offered once, and of too many the oldest that nobody asked for goes", () => {
  let offers: Offers = [];
  for (let i = 0; i < OFFERS_MAX; i++) offers = offered(offers, offer(String(i)));
  assert.equal(offered(offers, offer("3")).length, OFFERS_MAX);
  offers = offered(wanted(offers, "0", 0), offer("more"));
  assert.deepEqual(ids(offers), ["0", "2", "3", "4", "more"]);
});

test("what was asked for stays until it is answered, and is asked again when no answer came", () => {
  let offers = wanted(offered(offered([], offer("a")), offer("b")), "a", 100);
  assert.deepEqual(due(offers, 100), ["a"]);
  offers = standing(askedFor(offers, "a", "r7", 100), 99_999);
  assert.deepEqual(ids(offers), ["a"]);
  assert.deepEqual(due(offers, 100 + REPLY_MS - 1), []);
  assert.deepEqual(due(offers, 100 + REPLY_MS), ["a"]);
  assert.deepEqual(due(renewed(offers, 200), 200), ["a"]);
  assert.deepEqual(ids(without(offers, "a")), []);
});

test("pressing twice asks once", () => {
  const once = askedFor(wanted(offered([], offer("a")), "a", 0), "a", "r1", 0);
  assert.deepEqual(wanted(once, "a", 50), once);
});

test("an answer belongs to the offer that was asked for under its ref", () => {
  const offers = askedFor(wanted(offered(offered([], offer("a")), offer("b")), "b", 0), "b", "r2", 0);
  assert.equal(askedUnder(offers, "r2")?.id, "b");
  assert.equal(askedUnder(offers, "r3"), undefined);
  assert.equal(askedUnder(wanted(offers, "a", 0), ""), undefined);
});

test("a wish that cannot be answered now waits as long as it was told, and not for ever", () => {
  let offers = wanted(offered([], offer("a")), "a", 0);
  for (let i = 0; i < ASKS_MAX; i++) {
    offers = askedFor(offers, "a", `r${i}`, i * 100);
    const later = postponed(offers, "a", i * 100, 50);
    if (i === ASKS_MAX - 1) return assert.equal(later, null);
    assert.deepEqual(due(later!, i * 100 + 49), []);
    assert.deepEqual(due(later!, i * 100 + 50), ["a"]);
  }
});

test("the server's clock is the one that was told with the least delay", () => {
  const first = heardTime(null, 1_000_000, 500);
  assert.equal(first, 999_500);
  assert.equal(heardTime(first, 1_000_100, 700), 999_500);
  assert.equal(heardTime(first, 1_000_100, 590), 999_510);
});
