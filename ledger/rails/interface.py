"""What the ledger asks of a payment provider, and of a way to pay creators out. Providers differ; these words do not.

The contract of a payment rail, which `Purchases` relies on:

- The purchase is stored before the rail is asked for anything. Its id is the idempotency key at the provider:
  `create_checkout` for the same purchase again gives a checkout for the same payment, never a second one.
- `read_webhook` judges the bytes as they came. What it returns was said by the provider, about a payment of ours or
  not; it does not look into any table, but may ask the provider.
- A provider may tell the same thing twice, late, or out of order, each under an event id of its own. It repeats until
  it is answered with success, so everything that was signed is answered so, once it is stored.
- Money that goes back, by the provider's own doing or the buyer's bank, comes as an event for each part of it, with
  the amount of that part alone. It may come before the event of the payment.
- `status` says the provider's last word on a purchase, for when its webhook was lost.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from ledger.purchases.purchase_states import Purchase, RailOutcome


class RailEvent(Struct, frozen=True):
    """What a provider says about one purchase.

    Attributes:
        id: the provider's name of this event, unique at that rail; 1 to 200 characters.
        purchase: the id that we gave it, 16 bytes.
        amount_minor, currency: the money it speaks of; of a refund or charge-back, what went back this time.
        about: of a reinstatement, the id of the event that told of the refund or charge-back.
    """

    id: str
    purchase: bytes
    outcome: RailOutcome
    amount_minor: int
    currency: str
    about: str = ""


class Checkout(Struct, frozen=True):
    """Where a purchase is paid.

    Attributes:
        address: a URL, or a path of ours; 1 to 4,096 characters.
        reference: the provider's name of it, by which `status` and `cancel` find it; up to 255 characters.
    """

    address: str
    reference: str = ""


class PaymentRail(Protocol):
    """A provider that takes money for coins."""

    @property
    def name(self) -> str:
        """A lower-case word, as in `/v1/webhooks/NAME`; stored with every purchase, so it never changes."""

    async def create_checkout(self, purchase: Purchase) -> Checkout:
        """Where the viewer pays for this purchase.

        Raises:
            RailUnavailable: the provider did not answer; asking again is safe.
            RailRefused: the provider never takes this payment.
        """

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> RailEvent | None:
        """What the provider told us; None when it is about something that purchases do not care for.

        Raises:
            BadSignature: it was not the provider who said that, or too long ago.
            BadEvent: it was, and cannot be understood.
            RailUnavailable: the provider had to be asked, and did not answer; it will tell this again.
        """

    async def status(self, purchase: Purchase) -> RailEvent | None:
        """The provider's last word on a purchase; None while it is open. The same word has the same event id.

        Raises:
            RailUnavailable: the provider did not answer.
        """

    async def cancel(self, purchase: Purchase) -> bool:
        """Ask that this is not paid any more. False when the provider would not: it may have been paid meanwhile.

        Raises:
            RailUnavailable: the provider did not answer.
        """

    async def close(self) -> None:
        """Let go of connections."""


class Transfer(Struct, frozen=True):
    """Money for a creator or agency.

    Attributes:
        id: of the withdrawal, 16 bytes; the idempotency key at a provider.
        kind, label, details: of the payout method.
    """

    id: bytes
    payee: str
    amount_minor: int
    currency: str
    kind: str
    label: str
    details: bytes


class PayoutRail(Protocol):
    """A way to pay creators."""

    @property
    def name(self) -> str:
        """A lower-case word."""

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of payout methods that it can pay."""

    def slip(self, transfer: Transfer) -> str:
        """What is to be done to pay this, as text for the operator who does it."""
