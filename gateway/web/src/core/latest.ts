// Amounts that are asked for again and again: an answer that was overtaken is not shown, and an old one is called old.

/** Amounts that were read longer ago are not called the present ones, whatever became of the last question. */
export const OLD_MS = 12_000;

/** Ask and show, again and again. An answer is left out when the answer to a later question is shown already. */
export function latest<Now>(ask: () => Promise<Now>, show: (now: Now) => void): () => Promise<void> {
  let asked = 0;
  let shown = 0;
  return async () => {
    const turn = ++asked;
    const now = await ask();
    if (turn < shown) return;
    shown = turn;
    show(now);
  };
}

/** Whether amounts of `readMs` are old at `nowMs`; `failed` when the last question had no answer. */
export function isOld(readMs: number, nowMs: number, failed: boolean): boolean {
  return failed || nowMs - readMs > OLD_MS;
}
