"""Types of fields that bodies and answers of several kinds share."""

from typing import Annotated, Literal

from msgspec import Meta

from gateway.wire.messages import AMOUNT_MAX

Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$(?!\n)", description="ISO 3166-1 alpha-2 code.")]
HoldState = Literal["open", "settled", "voided", "expired"]
Platform = Literal["web", "ios", "android"]
Coins = Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
TITLE_LENGTH_MAX = 200

Title = Annotated[str, Meta(max_length=TITLE_LENGTH_MAX)]
Word = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$(?!\n)")]
BasisPoints = Annotated[int, Meta(ge=0, le=10_000, description="Hundredths of a percent.")]
SignedAmount = Annotated[int, Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
