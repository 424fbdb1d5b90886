"""What Stripe's events and objects mean for a purchase."""

import json
from typing import Any

import pytest

from ledger.errors import BadEvent
from ledger.ids import format_id, new_id
from ledger.purchases.purchase_states import RailOutcome
from ledger.rails.interface import RailEvent
from ledger.rails.stripe_words import (
    PURCHASE,
    Back,
    BackKind,
    Intent,
    Named,
    Session,
    gone_back,
    is_ours,
    read_event,
    session_end,
)

ID = new_id(1_700_000_000_000)
METADATA = {PURCHASE: format_id(ID)}
OURS = Intent("pi_1", METADATA)


def event(event_type: str, **change: Any) -> bytes:
    """An event about a checkout of 1.29 USD, or about whatever the fields say."""
    session = {"id": "cs_1", "payment_status": "paid", "amount_total": 129, "currency": "usd", "metadata": METADATA}
    return json.dumps({"id": "evt_1", "type": event_type, "data": {"object": session | change}}).encode()


SESSIONS = """
    checkout.session.completed                paid                 paid
    checkout.session.completed                no_payment_required  paid
    checkout.session.completed                unpaid               -
    checkout.session.async_payment_succeeded  paid                 paid
    checkout.session.async_payment_failed     unpaid               declined
    checkout.session.expired                  unpaid               expired
    charge.refunded                           paid                 -
    payment_intent.succeeded                  paid                 -
    payment_intent.payment_failed             paid                 -
    radar.early_fraud_warning.created         paid                 -
"""


@pytest.mark.parametrize("line", SESSIONS.strip().splitlines(), ids=str.strip)
def test_event_of_a_checkout(line: str) -> None:
    """Only what ends a checkout is an event of the purchase, in capitals of its currency."""
    event_type, payment_status, outcome = line.split()
    expected = None
    if outcome != "-":
        expected = RailEvent(f"cs_1/{outcome}", ID, RailOutcome(outcome), 129, "USD")
    assert read_event(event(event_type, payment_status=payment_status)) == expected


@pytest.mark.parametrize(
    ("event_type", "kind"),
    [
        ("refund.created", BackKind.REFUND),
        ("refund.updated", BackKind.REFUND),
        ("refund.failed", BackKind.REFUND),
        ("charge.refund.updated", BackKind.REFUND),
        ("charge.dispute.created", BackKind.DISPUTE),
        ("charge.dispute.updated", BackKind.DISPUTE),
        ("charge.dispute.closed", BackKind.DISPUTE),
        ("charge.dispute.funds_withdrawn", BackKind.DISPUTE),
        ("charge.dispute.funds_reinstated", BackKind.DISPUTE),
    ],
)
def test_event_that_has_to_be_looked_up(event_type: str, kind: BackKind) -> None:
    """Of refunds and disputes only the name is taken from the event."""
    assert read_event(event(event_type, id="xx_1")) == Named(kind, "xx_1")


def test_event_of_somebody_else() -> None:
    """A checkout without our key in its metadata is none of ours."""
    for metadata in (None, {}, {"order": "7"}):
        assert read_event(event("checkout.session.completed", metadata=metadata)) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        event("checkout.session.completed", amount_total=None),
        event("checkout.session.completed", currency=None),
        event("checkout.session.completed", amount_total="129"),
        event("checkout.session.completed", amount_total=1.5),
        event("checkout.session.completed", metadata={PURCHASE: "7"}),
        event("checkout.session.completed", amount_total=550, currency="isk"),
        event("refund.created", id=7),
    ],
)
def test_event_that_cannot_be_read(body: bytes) -> None:
    """It is told apart from one that is about something else."""
    with pytest.raises(BadEvent):
        read_event(body)


STATES = """
    open      unpaid  -                        -
    expired   unpaid  -                        expired
    complete  paid    succeeded                paid
    complete  unpaid  processing               -
    complete  unpaid  requires_payment_method  declined
    complete  unpaid  canceled                 declined
    complete  unpaid  -                        -
"""


@pytest.mark.parametrize("line", STATES.strip().splitlines(), ids=str.strip)
def test_end_of_a_checkout_that_was_looked_up(line: str) -> None:
    """A transfer under way is no end; it is one once its payment cannot succeed any more."""
    status, payment_status, intent_status, outcome = line.split()
    intent = None if intent_status == "-" else Intent("pi_1", METADATA, intent_status)
    session = Session("cs_1", status, payment_status, 129, "usd", METADATA, intent)
    found = session_end(session)
    assert (None if found is None else found.outcome) == (None if outcome == "-" else RailOutcome(outcome))


BACKS = """
    refund   succeeded               refunded
    refund   pending                 -
    refund   requires_action         -
    refund   failed                  reinstated
    refund   canceled                reinstated
    refund   whatever                -
    dispute  needs_response          charged_back
    dispute  under_review            charged_back
    dispute  lost                    charged_back
    dispute  appeal_needs_response   charged_back
    dispute  appeal_under_review     charged_back
    dispute  won                     reinstated
    dispute  prevented               -
    dispute  warning_needs_response  -
    dispute  warning_under_review    -
    dispute  warning_closed          -
    dispute  whatever                -
"""


@pytest.mark.parametrize("line", BACKS.strip().splitlines(), ids=str.strip)
def test_money_that_goes_back(line: str) -> None:
    """A refund counts once it has succeeded, a dispute while the bank has the money, each under its own id.

    What takes one back has another id, and names it.
    """
    kind, status, outcome = line.split()
    back = Back("xx_1", 43, "usd", status, OURS)
    name, about = ("xx_1/reinstated", "xx_1") if outcome == "reinstated" else ("xx_1", "")
    expected = None if outcome == "-" else RailEvent(name, ID, RailOutcome(outcome), 43, "USD", about)
    assert gone_back(BackKind(kind), back) == expected
    assert is_ours(back)


@pytest.mark.parametrize("intent", [None, "pi_1", Intent("pi_1")])
def test_money_that_goes_back_to_somebody_else(intent: Intent | str | None) -> None:
    """A payment that does not name a purchase, or is not shown, is none of ours."""
    back = Back("re_1", 43, "usd", "succeeded", intent)
    assert gone_back(BackKind.REFUND, back) is None
    assert not is_ours(back)
