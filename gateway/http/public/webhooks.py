"""Where payment providers tell what became of payments: signed by them, over the raw bytes, so there is no token."""

from collections.abc import Mapping

from gateway.http.operation import declare
from gateway.http.problems import Problem
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.public import Heard
from gateway.wire.http.words import Word
from ledger.purchases.purchases import EventEffect
from ledger.rails import sandbox


async def hear_webhook(services: Services, provider: Word, headers: Mapping[str, str], raw: bytes) -> Heard:
    """Take what a payment provider tells. Success means: verified and stored, so it need not be told again."""
    return await hear(services, provider, headers, raw)


async def hear(services: Services, provider: str, headers: Mapping[str, str], raw: bytes) -> Heard:
    """The one way by which webhooks come in, also those of the demo.

    Raises:
        Problem: the sandbox outside of the demo.
        LedgerError: no such provider, a bad signature, or what cannot be understood.
    """
    check_rail(services, provider)
    heard = await services.office.purchases.hear(provider, headers, raw)
    return Heard(heard.effect is EventEffect.DUPLICATE)


def check_rail(services: Services, rail: str) -> None:
    """See that the rail may be used: the sandbox takes no money, so coins from it are for the demo alone.

    Raises:
        Problem: it may not.
    """
    if rail == sandbox.NAME and not services.config.demo:
        raise Problem(Code.UNKNOWN_PROVIDER, "The sandbox is there in the demo only.")


OPERATIONS = (
    declare(
        "POST",
        "/v1/webhooks/{provider}",
        hear_webhook,
        tag="purchases",
        # A provider tells of everybody's payments from a few addresses.
        counted=False,
        refuses=(Code.UNKNOWN_PROVIDER, Code.BAD_SIGNATURE, Code.BAD_REQUEST),
    ),
)
