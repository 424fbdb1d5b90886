// A connection is taken for dead only when a question stays without an answer.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ANSWER_MS_MAX, QUIET_MS, asked, beat, heard, opening } from "../src/core/pulse.ts";

test("a server that is heard is not asked, and is once it is quiet", () => {
  assert.equal(beat(heard(1_000), 1_000 + QUIET_MS - 1), "fine");
  assert.equal(beat(heard(1_000), 1_000 + QUIET_MS), "ask");
});

test("an answer in the millisecond of the question is an answer", () => {
  const answered = heard(asked(heard(0), 5_000).askedMs as number);
  assert.equal(beat(answered, 5_001 + ANSWER_MS_MAX), "ask");
});

test("without an answer in time the connection is dead, and is not asked again before", () => {
  const waiting = asked(heard(0), 5_000);
  assert.equal(beat(waiting, 5_000 + ANSWER_MS_MAX), "fine");
  assert.equal(beat(waiting, 5_001 + ANSWER_MS_MAX), "dead");
});

test("a socket that does not open in time is dead", () => {
  assert.equal(beat(opening(100), 100 + ANSWER_MS_MAX), "fine");
  assert.equal(beat(opening(100), 101 + ANSWER_MS_MAX), "dead");
});
