// The queue of alerts.

import assert from "node:assert/strict";
import { test } from "node:test";

import { EMPTY, GAP_MS, HELD_MS_MAX, LINGER_MS, WAITING_MAX, add, forgetPlaces, nextMs, takeBack, tick, waitingSeqs, type Queue } from "../src/core/alerts.ts";
import { dear, gift, step } from "./events.ts";

const FIVE_S = () => 5_000;
const all = (queue: Queue, ...events: Parameters<typeof add>[1][]): Queue => events.reduce((now, event) => add(now, event, 0), queue);

test("alerts are shown one at a time with a gap between them", () => {
  let queue = tick(all(EMPTY, gift(1), gift(2)), 0, FIVE_S);
  assert.deepEqual(queue.showing?.seqs, [1]);
  queue = tick(queue, 4_999, FIVE_S);
  assert.deepEqual(queue.showing?.seqs, [1]);
  queue = tick(queue, 5_000, FIVE_S);
  assert.equal(queue.showing, null);
  assert.equal(nextMs(queue), 5_000 + GAP_MS);
  queue = tick(queue, 5_000 + GAP_MS, FIVE_S);
  assert.deepEqual(queue.showing?.seqs, [2]);
});

test("a combo counts up in the alert that is shown", () => {
  let queue = tick(all(EMPTY, step(1, 1)), 0, FIVE_S);
  queue = add(queue, step(2, 2), 4_900);
  assert.equal(queue.showing?.count, 2);
  assert.equal(queue.waiting.length, 0);
  assert.equal(queue.endsMs, 4_900 + LINGER_MS);
});

test("a combo counts up in the alert that waits", () => {
  const queue = all(tick(all(EMPTY, gift(1)), 0, FIVE_S), step(2, 1), step(3, 2), step(4, 3));
  assert.equal(queue.waiting.length, 1);
  assert.equal(queue.waiting[0]?.count, 3);
  assert.deepEqual(waitingSeqs(queue), [2, 3, 4]);
});

test("a combo's end is no alert", () => {
  assert.equal(add(EMPTY, step(5, 4, "end"), 0), EMPTY);
});

test("totals of a combo never go back", () => {
  const queue = all(EMPTY, step(2, 9), step(1, 4));
  assert.equal(queue.waiting[0]?.count, 9);
});

test("a combo that never ends makes place when others wait", () => {
  let queue = tick(all(EMPTY, step(1, 1)), 0, FIVE_S);
  for (let now = 1_000; now <= HELD_MS_MAX; now += 1_000) queue = add(queue, step(now, now), now);
  assert.equal(nextMs(queue), HELD_MS_MAX + LINGER_MS);
  queue = add(queue, gift(99), HELD_MS_MAX);
  assert.equal(nextMs(queue), HELD_MS_MAX);
});

test("beyond the limit gifts join a waiting one of the same kind and none is lost", () => {
  const full = all(EMPTY, ...Array.from({ length: WAITING_MAX }, (_, i) => gift(i + 1)));
  const queue = add(full, gift(1_000, { sender: { id: "bob", name: "Bob" } }), 0);
  assert.equal(queue.waiting.length, WAITING_MAX);
  assert.equal(queue.waiting.at(-1)?.others, 1);
  assert.equal(queue.waiting.reduce((sum, alert) => sum + alert.coins, 0), WAITING_MAX + 1);
  assert.equal(add(full, gift(1_001, { gift: "lion" }), 0).waiting.length, WAITING_MAX + 1);
});

test("after a new history what waits is still shown, without its places", () => {
  const queue = forgetPlaces(all(EMPTY, gift(7)));
  assert.deepEqual(waitingSeqs(queue), []);
  assert.equal(queue.waiting.length, 1);
});

test("a gift that is taken back is gone from the queue, with its place, and the others move up", () => {
  const queue = takeBack(tick(all(EMPTY, gift(1), dear(2, "a"), gift(3)), 0, FIVE_S), "a", 100);
  assert.deepEqual(waitingSeqs(queue), [3]);
  assert.deepEqual(queue.showing?.seqs, [1]);
});

test("a gift that is taken back while it is shown makes place for the next after the gap", () => {
  let queue = takeBack(tick(all(EMPTY, dear(1, "a"), gift(2)), 0, FIVE_S), "a", 1_000);
  assert.equal(queue.showing, null);
  assert.equal(nextMs(queue), 1_000 + GAP_MS);
  queue = tick(queue, 1_000 + GAP_MS, FIVE_S);
  assert.deepEqual(queue.showing?.seqs, [2]);
});

test("taking back what is not in the queue, or cannot be taken back, changes nothing", () => {
  const queue = all(EMPTY, dear(1, "a"), gift(2, { id: "b" }));
  assert.equal(takeBack(queue, "z", 0), queue);
  assert.equal(takeBack(queue, "b", 0), queue);
  assert.equal(takeBack(EMPTY, "a", 0), EMPTY);
});

test("of gifts that joined one alert those that are taken back are taken off, and named no more", () => {
  const full = all(EMPTY, ...Array.from({ length: WAITING_MAX - 1 }, (_, i) => gift(i + 1)), dear(500, "a", { message: "hi" }));
  let queue = all(full, dear(501, "b"), dear(502, "c"));
  queue = takeBack(queue, "b", 0);
  let last = queue.waiting.at(-1)!;
  assert.deepEqual([last.count, last.coins, last.others, last.name, last.message], [2, 59_998, 1, "Ann", "hi"]);
  queue = takeBack(queue, "a", 0);
  last = queue.waiting.at(-1)!;
  assert.deepEqual([last.count, last.coins, last.others, last.name, last.message], [1, 29_999, 0, null, null]);
  queue = takeBack(queue, "c", 0);
  assert.equal(queue.waiting.length, WAITING_MAX - 1);
});
