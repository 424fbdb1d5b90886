"""What an operator may set about payment providers, with its bounds. Needs none of their libraries."""

from typing import Annotated

from msgspec import Meta, Struct

_Page = Annotated[str, Meta(pattern=r"^https?://\S+$", max_length=2_000)]


class StripeConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of payments by Stripe.

    Attributes:
        secret_key: a key of Stripe's API, secret or restricted; with it and `webhook_secret` coins are sold there.
        webhook_secret: signing secret of the endpoint at Stripe that leads to `/v1/webhooks/stripe`.
        api_url: where Stripe's API is.
        success_url, cancel_url: where Stripe sends the buyer afterwards; `{purchase}` stands for the purchase's id.
            Without them it is the front page of `public_url`.
        session_ms: a checkout can be paid so long after its purchase was begun.
        signature_ms_max: a webhook whose signature is older than this is refused.
        attempt_ms_max: how long Stripe may take to answer one attempt of a call.
        retries_max: how often a call is tried again whose answer did not come.
    """

    secret_key: Annotated[str, Meta(pattern=r"^(sk|rk)_[A-Za-z0-9_]+$", max_length=255)] | None = None
    webhook_secret: Annotated[str, Meta(pattern=r"^whsec_[!-~]+$", max_length=255)] | None = None
    api_url: Annotated[str, Meta(pattern=r"^https?://[^/\s]+$", max_length=255)] = "https://api.stripe.com"
    success_url: _Page | None = None
    cancel_url: _Page | None = None
    # Stripe takes 30 minutes to 24 hours, counted by its own clock; both ends leave room for ours.
    session_ms: Annotated[int, Meta(ge=3_600_000, le=82_800_000)] = 7_200_000
    signature_ms_max: Annotated[int, Meta(ge=1_000, le=3_600_000)] = 300_000
    attempt_ms_max: Annotated[int, Meta(ge=100, le=60_000)] = 5_000
    retries_max: Annotated[int, Meta(ge=0, le=5)] = 2
