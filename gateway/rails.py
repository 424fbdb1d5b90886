"""The payment providers of this deployment: which are set up, and which one sells where the buyer does not say."""

import importlib.util
from typing import Final

from msgspec import Struct

from gateway.run.settings.config import Config
from ledger.rails.interface import PaymentRail
from ledger.rails.sandbox import SandboxRail

EXTRA_MISSING: Final = (
    "stripe.secret_key is set, and the library for it is not installed: pip install 'giftwire[payments]'"
)


class Rails(Struct, frozen=True):
    """The rails, to be closed with the process that built them.

    Attributes:
        every: those that coins can be bought from.
        sandbox: the provider side of the demo's rail; None outside of the demo.
    """

    every: tuple[PaymentRail, ...]
    sandbox: SandboxRail | None

    @property
    def default(self) -> str | None:
        """The rail that sells where none is named: a real one before the sandbox."""
        return self.every[0].name if self.every else None

    async def close(self) -> None:
        """Let go of the providers' connections."""
        for rail in self.every:
            await rail.close()


def build_rails(config: Config) -> Rails:
    """The rails of a configuration that has the signing key.

    Raises:
        ValueError: one is configured and cannot be used; see `unusable_rail`.
    """
    reason = unusable_rail(config)
    if reason is not None:
        raise ValueError(reason)
    every: list[PaymentRail] = []
    if config.stripe.secret_key is not None:
        # Its library is an extra, and large: only who sells by it loads it.
        from ledger.rails.stripe import StripeRail

        every.append(StripeRail(config.stripe, f"{config.http_url}/"))
    sandbox = SandboxRail.from_key(config.signing_key) if config.demo and config.signing_key else None
    if sandbox is not None:
        every.append(sandbox)
    return Rails(tuple(every), sandbox)


def unusable_rail(config: Config) -> str | None:
    """Why a rail that is configured cannot be used; None when all can."""
    stripe = config.stripe
    if (stripe.secret_key is None) != (stripe.webhook_secret is None):
        missing = "secret_key" if stripe.secret_key is None else "webhook_secret"
        return f"payments by Stripe need stripe.secret_key and stripe.webhook_secret: stripe.{missing} is missing"
    if stripe.secret_key is not None and importlib.util.find_spec("stripe") is None:
        return EXTRA_MISSING
    return None
