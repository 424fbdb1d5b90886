// Who lost its server comes back at a time of chance; who was sent away, when it was told to.

import assert from "node:assert/strict";
import { test } from "node:test";

import { delayMs, mayReconnect } from "../src/core/backoff.ts";

test("tries are further apart each time, up to a bound", () => {
  assert.deepEqual([0, 1, 2, 9, 50].map((attempt) => delayMs(attempt, 0.5)), [250, 500, 1_000, 4_000, 4_000]);
});

test("a time that the server told counts as it is, within reason", () => {
  assert.equal(delayMs(3, 0.5, 1_234), 1_234);
  assert.equal(delayMs(3, 0.5, 0), 0);
  assert.equal(delayMs(3, 0.5, 86_400_000), 120_000);
});

test("codes from 4500 on say not to come back", () => {
  assert.deepEqual([1006, 4000, 4499, 4500, 4999].map(mayReconnect), [true, true, true, false, false]);
});
