"""Buckets that fill steadily, and a table whose quiet half is bounded."""

from gateway.admission.counts import PRUNED_MAX, Bucket, Rate, Table

RATE = Rate(per_s=2, burst=3)


class One:
    """Something that is at rest when a test says so."""

    def __init__(self, key: bytes | str) -> None:
        self.key = key
        self.rests = False

    def at_rest(self, now_s: float) -> bool:
        return self.rests


def test_bucket_gives_its_burst_and_then_its_rate() -> None:
    """As many as the burst at once; one more says how long it takes, and is there after that."""
    bucket = Bucket()
    assert [bucket.take(RATE, 100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(RATE, 100.0) == 0.5
    assert bucket.take(RATE, 100.5) == 0.0
    assert bucket.take(RATE, 100.5) == 0.5
    assert [bucket.take(RATE, 200.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(RATE, 200.0) > 0


def test_bucket_at_exactly_its_rate_for_long() -> None:
    """Who keeps to the rate is never refused, whatever the fractions add up to."""
    bucket, rate = Bucket(), Rate(per_s=7, burst=1)
    assert {bucket.take(rate, 10 + n / 7) for n in range(5_000)} == {0.0}


def test_bucket_that_is_drained_owes_nothing() -> None:
    """More than there is takes all of it, and the next is there as soon as after the burst."""
    bucket = Bucket()
    bucket.drain(RATE, 100.0, 1_000)
    assert bucket.take(RATE, 100.0) == 0.5
    assert bucket.take(RATE, 100.5) == 0.0
    assert not bucket.is_full(101.5)
    assert bucket.is_full(102.0)


def test_table_forgets_the_one_that_was_quiet_the_longest() -> None:
    """At the bound all are known; one past it the oldest goes and is counted; what is open stays, however many."""
    table = Table(One, 3)
    held = [table.of(f"open{n}", 0.0) for n in range(3)]
    for one in held:
        table.opened(one)
    first = [table.of(f"quiet{n}", 0.0) for n in range(3)]
    assert [table.get(one.key) for one in first] == first
    assert table.of("quiet0", 0.0) is first[0]
    table.of("quiet3", 0.0)
    assert table.get("quiet1") is None
    assert table.get("quiet0") is first[0]
    assert [table.get(one.key) for one in held] == held
    assert (len(table), table.forgotten) == (6, 1)


def test_table_drops_those_with_nothing_to_remember() -> None:
    """One that closes at rest is gone at once; others go a few for each new one, and none of them is counted."""
    table = Table(One, 100)
    gone, kept = table.of("gone", 0.0), table.of("kept", 0.0)
    for one in (gone, kept):
        table.opened(one)
    gone.rests = True
    table.closed(gone, 0.0)
    table.closed(kept, 0.0)
    assert (table.get("gone"), table.get("kept")) == (None, kept)
    kept.rests = True
    for n in range(4):
        table.of(f"new{n}", 0.0).rests = True
    assert table.get("kept") is None
    assert len(table) <= 4 - PRUNED_MAX + 1
    assert table.forgotten == 0
