"""What a gift costs a room, in µs: decoding, then hearing and merging with the ticks. Run it as a module."""

import random
import timeit
from collections.abc import Callable

from gateway.room.config import RoomConfig
from gateway.room.facts import ComboFact, ComboState, GiftFact, RoomBatch, complete_events, decode_batch, encode_batch
from gateway.room.room import Room

GIFTS, BATCH, TICK_BATCHES, SENDERS = 50_000, 100, 5, 200


def batches() -> list[RoomBatch]:
    """Gifts of some senders, every second one in a combo."""
    draw = random.Random(1)
    combos = [draw.randbytes(16) for _ in range(SENDERS)]

    def fact(number: int) -> GiftFact:
        sender = draw.randrange(SENDERS)
        combo = ComboFact(combos[sender], number, number, ComboState.UPDATE) if number % 2 else None
        name, to = f"viewer{sender}", "cora"
        return GiftFact(
            sender % 32, number, draw.randbytes(16), name, name, 3, False, to, "rose", 1, 1, 1, number, combo
        )

    starts = range(1, GIFTS, BATCH)
    return [RoomBatch("demo", 1, start, [fact(start + n) for n in range(BATCH)]) for start in starts]


def per_gift_us(work: Callable[[], object]) -> float:
    """The best of five."""
    return min(timeit.repeat(work, number=1, repeat=5)) / GIFTS * 1e6


def main() -> None:
    """Print one line for each step."""
    heard = batches()
    packed = [encode_batch(batch) for batch in heard]

    def hear() -> None:
        room = Room("demo", RoomConfig(), epoch=1, seq=0)
        for number, batch in enumerate(heard):
            room.hear(batch)
            if number % TICK_BATCHES == 0:
                room.tick(number)

    lines: dict[str, Callable[[], object]] = {
        "decode": lambda: [decode_batch(batch) for batch in packed],
        "hear, merge and tick": hear,
        "complete events": lambda: [complete_events(batch) for batch in heard],
    }
    for name, work in lines.items():
        print(f"{name:22} {per_gift_us(work):5.2f} µs a gift")  # noqa: T201


if __name__ == "__main__":
    main()
