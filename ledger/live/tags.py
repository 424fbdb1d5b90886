"""Hash tags that spread the partitions evenly over the slots of a Redis Cluster.

Plain tags `{0}`, `{1}`, … land where CRC16 happens to put them, and a node of six may own none of 32. Each tag here
lies in its own equal share of the slots instead, so nodes that own equal ranges own equal numbers of partitions.
The table is part of the stored data: changing a tag would hide the keys under it, so it is written down, and a test
compares it with what `search` finds.
"""

from typing import Final

SLOTS: Final = 16_384
PARTITIONS_MAX: Final = 1_024

# What search(32) found.
# fmt: off
TAGS_32: Final = (
    "10", "117", "25", "7", "61", "76", "54", "43", "11", "116", "24", "6", "60", "77", "55", "42",
    "12", "115", "27", "5", "63", "74", "56", "41", "13", "114", "26", "4", "62", "75", "57", "40",
)
# fmt: on


def tags(partitions: int) -> tuple[str, ...]:
    """The tag of each partition, for a deployment with this many.

    Raises:
        ValueError: not 1 to PARTITIONS_MAX partitions.
    """
    if not 1 <= partitions <= PARTITIONS_MAX:
        raise ValueError(f"partitions must be 1 to {PARTITIONS_MAX}, not {partitions}")
    return TAGS_32 if partitions == len(TAGS_32) else search(partitions)


def search(partitions: int) -> tuple[str, ...]:
    """For each share of the slots, the smallest whole number whose text hashes into the share's middle half.

    The middle half, because the ranges of real nodes do not end exactly where the shares do.
    """
    share = SLOTS / partitions
    found: dict[int, str] = {}
    candidate = 0
    while len(found) < partitions:
        tag = str(candidate)
        index, offset = divmod(slot(tag.encode()), share)
        if share < 4 or share / 4 <= offset < share * 3 / 4:
            found.setdefault(int(index), tag)
        candidate += 1
    return tuple(found[index] for index in range(partitions))


def slot(tag: bytes) -> int:
    """The cluster slot of a hash tag: CRC16 (XMODEM) modulo 16,384, as the Redis Cluster specification defines it."""
    crc = 0
    for byte in tag:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return crc % SLOTS
