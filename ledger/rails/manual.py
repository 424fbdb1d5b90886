"""Payouts by hand: the operator pays at a bank or elsewhere, then marks the withdrawal sent, then paid."""

from typing import Final

from ledger.ids import format_id
from ledger.rails.interface import Transfer

NAME: Final = "manual"
KINDS: Final = frozenset({"bank", "paypal", "other"})
_REFERENCE_DIGITS: Final = 12


class ManualRail:
    """The rail that is a person."""

    @property
    def name(self) -> str:
        """`manual`."""
        return NAME

    @property
    def kinds(self) -> frozenset[str]:
        """Anything that a person can pay."""
        return KINDS

    def slip(self, transfer: Transfer) -> str:
        """Amount, receiver and the words to put on the transfer, one a line. Details stand as they were given."""
        return "\n".join(
            (
                f"pay: {transfer.amount_minor} minor units of {transfer.currency}",
                f"to: {transfer.payee} by {transfer.kind} ({transfer.label})",
                f"details: {transfer.details.decode(errors='backslashreplace')}",
                f"reference: {reference_of(transfer.id)}",
            )
        )


def reference_of(withdrawal: bytes) -> str:
    """A short word for a bank's reference line: the last digits of the withdrawal's id, which are random."""
    return f"GW-{format_id(withdrawal)[-_REFERENCE_DIGITS:].upper()}"
