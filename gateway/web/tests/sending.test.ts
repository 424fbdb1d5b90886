// What a sender's page keeps: gifts on their way, the combo, ids and the way back after a loss.

import assert from "node:assert/strict";
import { test } from "node:test";

import { delayMs, mayReconnect } from "../src/core/backoff.ts";
import { counted, current, left } from "../src/core/combo.ts";
import { PENDING_MAX, REPLY_MS, TRIES_MAX, due, postpone, put, renew, settle, type Outbox } from "../src/core/outbox.ts";
import { uuid7 } from "../src/core/uuid7.ts";

const order = (id: string) => ({ id, gift: "rose", room: "demo" });
const ids = (outbox: Outbox, nowMs: number): string[] => due(outbox, nowMs).send.map((each) => each.id);

test("a gift is sent once and again with the same id when no reply came", () => {
  const first = due(put([], order("a"), 0)!, 0);
  assert.deepEqual(first.send.map((each) => each.id), ["a"]);
  assert.deepEqual(ids(first.outbox, REPLY_MS - 1), []);
  assert.deepEqual(ids(first.outbox, REPLY_MS), ["a"]);
});

test("after a reconnect every gift without a reply is due", () => {
  const { outbox } = due(put(put([], order("a"), 0)!, order("b"), 0)!, 0);
  assert.deepEqual(ids(renew(settle(outbox, "a"), 10), 10), ["b"]);
});

test("a postponed gift waits as long as it was told, and not for ever", () => {
  let outbox = put([], order("a"), 0)!;
  for (let i = 0; i < TRIES_MAX; i++) {
    outbox = due(outbox, i * 100).outbox;
    const later = postpone(outbox, "a", i * 100, 100);
    if (i === TRIES_MAX - 1) return assert.equal(later, null);
    assert.deepEqual(ids(later!, i * 100 + 99), []);
    outbox = later!;
  }
});

test("the outbox is full at its limit", () => {
  let outbox: Outbox | null = [];
  for (let i = 0; i < PENDING_MAX; i++) outbox = put(outbox!, order(String(i)), 0);
  assert.equal(outbox?.length, PENDING_MAX);
  assert.equal(put(outbox!, order("one more"), 0), null);
});

test("a combo counts what was accepted and closes with its window", () => {
  const run = counted(null, { gift: "rose", combo: { id: "c", count: 1 } }, 1_000, 5_000);
  const more = counted(run, { gift: "rose", combo: { id: "c", count: 2 } }, 2_000, 5_000)!;
  assert.equal(more.count, 2);
  assert.equal(left(more, 4_500, 5_000), 0.5);
  assert.equal(current(more, 6_999), more);
  assert.equal(current(more, 7_000), null);
});

test("late replies do not count a combo down, and a new combo counts anew", () => {
  const run = counted(null, { gift: "rose", combo: { id: "c", count: 7 } }, 0, 5_000)!;
  assert.equal(counted(run, { gift: "rose", combo: { id: "c", count: 6 } }, 1, 5_000)?.count, 7);
  assert.equal(counted(run, { gift: "rose", combo: { id: "d", count: 1 } }, 1, 5_000)?.count, 1);
  assert.equal(counted(run, { gift: "lion" }, 1, 5_000), run);
});

test("an id is a UUIDv7 of its time", () => {
  const id = uuid7(0x0123456789ab, new Uint8Array(10).fill(0xff));
  assert.equal(id, "01234567-89ab-7fff-bfff-ffffffffffff");
  assert.match(uuid7(), /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("close codes say whether to come back", () => {
  for (const code of [1000, 1006, 4000, 4001, 4002, 4003, 4499]) assert.ok(mayReconnect(code));
  for (const code of [4500, 4501, 4502, 4503, 4504, 4999]) assert.ok(!mayReconnect(code));
});

test("the wait before a new try is anything up to a bound that doubles", () => {
  assert.equal(delayMs(0, 0), 0);
  assert.equal(delayMs(0, 0.5), 250);
  assert.equal(delayMs(3, 0.5), 2_000);
  assert.equal(delayMs(1_000, 0.999), 7_992);
});
