// Positions: nothing is shown twice and nothing is skipped.

import assert from "node:assert/strict";
import { test } from "node:test";

import { advance, afterJoined, fresh, leftOut, type Shown } from "../src/core/seen.ts";
import type { Joined } from "../src/wire.ts";
import { dear, gift, told, undone } from "./events.ts";

const at = (epoch: number, seq: number, ...apart: number[]): Shown => ({ epoch, seq, apart });
const joined = (epoch: number, seq: number, recovered: boolean): Joined => ({
  type: "joined", ref: "r", room: "demo", epoch, seq, recovered,
  state: { room: "demo", title: "", creator: "c", creator_name: "C", viewers: 0, leaderboard: [], combo_window_ms: 5_000 },
});
const seqs = (shown: Shown, ...numbers: number[]): number[] =>
  fresh(shown, told(shown.epoch, ...numbers.map((seq) => gift(seq)))).map((event) => event.seq);

test("gifts up to the position and those shown apart are not fresh", () => {
  assert.deepEqual(seqs(at(1, 5, 7), 4, 5, 6, 7, 8), [6, 8]);
});

test("every gift of another epoch is fresh", () => {
  assert.equal(fresh(at(1, 50), told(2, gift(1), gift(2))).length, 2);
});

test("a taking back has a place of its own and is seen once like a gift", () => {
  const message = told(1, dear(6, "a"), undone(7, "a"), undone(8, "b"));
  assert.deepEqual(fresh(at(1, 5, 8), message).map((event) => [event.kind, event.seq]), [["gift", 6], ["undone", 7]]);
  assert.deepEqual(fresh(at(1, 8), message), []);
});

test("the position stops before the first that waits and keeps what was shown beyond it", () => {
  assert.deepEqual(advance(at(1, 5), { epoch: 1, seq: 9 }, [7, 9]), at(1, 6, 8));
});

test("the position reaches what was heard once nothing waits", () => {
  assert.deepEqual(advance(at(1, 6, 8), { epoch: 1, seq: 9 }, []), at(1, 9));
});

test("after a reload the gifts that waited come again and the others do not", () => {
  const kept = advance(at(1, 5), { epoch: 1, seq: 9 }, [7]);
  assert.deepEqual(seqs(kept, 6, 7, 8, 9, 10), [7, 10]);
});

test("what was shown apart is kept until it has come again", () => {
  const kept = advance(at(1, 6, 8, 9), { epoch: 1, seq: 6 }, []);
  assert.deepEqual(seqs(kept, 7, 8, 9, 10), [7, 10]);
  assert.deepEqual(advance(kept, { epoch: 1, seq: 8 }, [7]), at(1, 6, 8, 9));
  assert.deepEqual(advance(kept, { epoch: 1, seq: 8 }, []), at(1, 8, 9));
});

test("the position never goes back", () => {
  assert.equal(advance(at(1, 9), { epoch: 1, seq: 9 }, [3]).seq, 9);
});

test("a room that goes on keeps the position, any other begins with the present", () => {
  const shown = at(3, 5);
  assert.equal(afterJoined(shown, joined(3, 8, true)), shown);
  assert.deepEqual(afterJoined(shown, joined(3, 8, false)), at(3, 8));
  assert.deepEqual(afterJoined(shown, joined(4, 2, true)), at(4, 2));
  assert.deepEqual(afterJoined(null, joined(1, 2, false)), at(1, 2));
});

test("a page that knows no position goes on from what its token acknowledged", () => {
  const resumed = { ...joined(3, 9, true), resumed_from: { epoch: 3, seq: 5 } };
  assert.deepEqual(afterJoined(null, resumed), at(3, 5));
});

test("a page that missed too much shows the newest of it, without what it showed before", () => {
  const resumed = { ...joined(3, 900, false), resumed_from: { epoch: 3, seq: 400 } };
  const shown = afterJoined(at(3, 5, 399, 401), resumed);
  assert.deepEqual(shown, at(3, 400, 401));
  assert.deepEqual(seqs(shown, 400, 401, 402), [402]);
  assert.deepEqual(afterJoined(at(2, 5, 401), resumed), at(3, 400));
});

test("what the server passed over is counted, where that can be", () => {
  const since = { resumed_from: { epoch: 1, seq: 40 } };
  for (const [shown, message, expected] of [
    [at(1, 5), joined(1, 60, true), 0],
    [at(1, 5), { ...joined(1, 60, false), ...since }, 35],
    [at(1, 5), joined(1, 60, false), 55],
    [at(1, 5), joined(2, 3, false), null],
    [null, joined(1, 60, false), 0],
    [null, { ...joined(1, 60, false), ...since }, null],
    [null, { ...joined(1, 60, true), ...since }, 0],
  ] as [Shown | null, Joined, number | null][]) assert.equal(leftOut(shown, message), expected);
});
