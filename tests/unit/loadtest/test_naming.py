"""A gift id tells which command of the run it was, and no other run's id does."""

import uuid

import pytest

from loadtest.script.naming import FOREIGN, PROCESS_MAX, GiftIds, GiftKeys, Run, grant_id, id_time_ms, new_run

AT_MS = 1_795_505_937_040


@pytest.mark.parametrize("nonce", [0, 7, 2**30 - 1])
@pytest.mark.parametrize("process", [0, 5, PROCESS_MAX])
@pytest.mark.parametrize("number", [0, 1, 2**32 - 1])
def test_gift_id_is_a_uuid7_that_holds_its_key(nonce: int, process: int, number: int) -> None:
    """Version, variant and time are right, the text is lower case, and the key comes back."""
    ids = GiftIds(Run(nonce), process)
    text = ids.make(number, AT_MS)
    parsed = uuid.UUID(text)
    assert str(parsed) == text
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == AT_MS == id_time_ms(text)
    assert GiftKeys(Run(nonce)).key(text) == ids.key(number) == process << 32 | number


def test_id_of_another_run_is_foreign() -> None:
    """Runs against the same server do not take each other's gifts for their own."""
    assert GiftKeys(Run(8)).key(GiftIds(Run(7), 1).make(3, AT_MS)) == FOREIGN


def test_random_id_is_foreign() -> None:
    """Neither does a gift of somebody else."""
    assert GiftKeys(Run(8)).key(grant_id(AT_MS)) == FOREIGN


def test_process_over_the_bound_is_refused() -> None:
    """A process number that does not fit would give ids of another process."""
    with pytest.raises(ValueError, match="4095"):
        GiftIds(Run(1), PROCESS_MAX + 1)


def test_grant_ids_differ_and_are_uuid7() -> None:
    """Two grants of the same millisecond have different ids."""
    one, other = grant_id(AT_MS), grant_id(AT_MS)
    assert one != other
    assert uuid.UUID(one).version == 7
    assert uuid.UUID(one).variant == uuid.RFC_4122
    assert id_time_ms(one) == AT_MS


def test_runs_name_different_users() -> None:
    """Two runs share no room, creator or user."""
    one, other = new_run(), new_run()
    assert not {one.room(0), one.creator(0), one.sender(0), one.viewer(0)} & {other.room(0), other.sender(0)}
    assert len({one.room(0), one.creator(0), one.sender(0), one.viewer(0)}) == 4
