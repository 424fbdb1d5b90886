"""The table of hash tags spreads partitions evenly over the nodes of a cluster."""

import pytest

from ledger.live.tags import SLOTS, TAGS_32, search, slot, tags


def test_table_is_what_the_search_finds() -> None:
    """The stored table was not edited by hand."""
    assert search(32) == TAGS_32


def test_slot_of_the_specifications_example() -> None:
    """CRC16 of 123456789 is 31C3, as the Redis Cluster specification says."""
    assert slot(b"123456789") == 0x31C3 % SLOTS


@pytest.mark.parametrize("nodes", range(1, 17))
def test_nodes_own_equal_numbers(nodes: int) -> None:
    """With equal slot ranges no node owns over one partition more than another."""
    owned = [0] * nodes
    for tag in tags(32):
        owned[slot(tag.encode()) * nodes // SLOTS] += 1
    assert max(owned) - min(owned) <= 1


@pytest.mark.parametrize("partitions", [0, 1025])
def test_partitions_out_of_bounds(partitions: int) -> None:
    """One below and one above the bounds are refused."""
    with pytest.raises(ValueError, match="partitions"):
        tags(partitions)
