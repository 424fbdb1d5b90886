// Amounts that are read again and again: which answer is shown, and when it is called old.

import assert from "node:assert/strict";
import { test } from "node:test";

import { isOld, latest, OLD_MS } from "../src/core/latest.ts";

/** A question whose answers come when and in which order the test wants. */
function questions() {
  const answers: Array<{ give: (amount: number) => void; fail: (error: Error) => void }> = [];
  const ask = (): Promise<number> => new Promise((give, fail) => answers.push({ give, fail }));
  return { ask, answers };
}

test("an answer that was overtaken is not shown", async () => {
  const { ask, answers } = questions();
  const shown: number[] = [];
  const read = latest(ask, (amount) => shown.push(amount));
  const [first, second, third] = [read(), read(), read()];
  answers[1]!.give(20);
  await second;
  answers[0]!.give(10);
  await first;
  answers[2]!.give(30);
  await third;
  assert.deepEqual(shown, [20, 30]);
});

test("a question without an answer is told, and the one before it still counts", async () => {
  const { ask, answers } = questions();
  const shown: number[] = [];
  const read = latest(ask, (amount) => shown.push(amount));
  const [first, second] = [read(), read()];
  answers[1]!.fail(new Error("away"));
  await assert.rejects(second, /away/);
  answers[0]!.give(10);
  await first;
  assert.deepEqual(shown, [10]);
});

test("amounts are old after a question without an answer, and after a while in any case", () => {
  assert.equal(isOld(1_000, 1_000, false), false);
  assert.equal(isOld(1_000, 1_000 + OLD_MS, false), false);
  assert.equal(isOld(1_000, 1_001 + OLD_MS, false), true);
  assert.equal(isOld(1_000, 1_000, true), true);
});
