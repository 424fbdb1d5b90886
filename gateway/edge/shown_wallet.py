"""What one session was told of its viewer's wallet, so that the last thing it is told is true.

A balance comes on two ways: with the reply to a gift, and from the journal with every change (`Wallets`). They may pass
each other. A change has the seq of its journal record, and so has the reply to a gift that was just paid; a replay, a
refusal and a taking back have none. What is told without a seq may be old by the time it is told, so what was told
meanwhile is told again after it; and if it was not old, its own change is still to come and is told then.
"""

from typing import Final

Mark = tuple[int, int]
"""A moment of a `ShownWallet`: the seq of what was told last, and how often the wallet was read."""

UNHEARD: Final[Mark] = (0, 0)
"""The moment of one that was told nothing yet."""


class ShownWallet:
    """One wallet as one session shows it, after the welcome."""

    __slots__ = ("_coins", "_doubted", "_reads", "_seq")

    def __init__(self) -> None:
        self._seq = 0
        self._coins = 0
        self._reads = 0
        self._doubted = False

    @property
    def mark(self) -> Mark:
        """This moment."""
        return self._seq, self._reads

    def changed(self, seq: int, coins: int) -> bool:
        """The wallet holds this since the record `seq` (from 1): whether it is to be told, or newer was told before."""
        if seq <= self._seq:
            return False
        self._seq, self._coins, self._doubted = seq, coins, False
        return True

    def doubted(self) -> None:
        """Changes may have been missed, and the numbers of records may begin anew. The wallet is going to be read."""
        self._doubted, self._seq = True, 0

    def read(self, coins: int) -> bool:
        """It held this when it was read: whether that is to be told. Changes heard since the doubt are as new."""
        if not self._doubted:
            return False
        # Without a number: the change that follows is told whatever its number is.
        self._seq, self._coins, self._doubted = 0, coins, False
        self._reads += 1
        return True

    def replied(self, seq: int, coins: int, since: Mark) -> int | None:
        """A reply tells this balance.

        Args:
            seq: of the record that the reply is about; 0 where there is none.
            since: the moment at which its command was handed in.

        Returns:
            What is to be told after it; None when the reply is the newest that is known.
        """
        seq_then, reads_then = since
        if reads_then != self._reads:
            return self._coins
        if seq > self._seq:
            self._seq, self._coins = seq, coins
            return None
        return self._coins if self._seq > max(seq_then, seq) else None
