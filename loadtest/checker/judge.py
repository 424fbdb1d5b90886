"""The whole verdict, in one place."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from loadtest.checker.combos import check_combos
from loadtest.checker.faults import Fault, FaultKind, Faults
from loadtest.checker.money import check_earnings, check_purchases, check_wallets
from loadtest.checker.shown import ViewersChecked, check_shown
from loadtest.checker.sightings import check_sightings
from loadtest.checker.told import Told, check_answers
from loadtest.record.columns import NO_KEY, Sightings
from loadtest.record.frames import FrameBook, Watch
from loadtest.record.purchase_book import Bought, PurchaseBook


class MoneyRead(Struct, frozen=True):
    """What the server said over HTTP after the run.

    Attributes:
        balances, buyers: coins by sender, and by buyer; None where it could not be read.
        live_diamonds, share_bp: by room; the earnings of its creator and the creator's share of a coin.
        audit_faults: invariants that the server's audit found broken, in words; None when it could not be
            had.
    """

    balances: Mapping[int, int | None]
    live_diamonds: Mapping[int, int | None]
    share_bp: Mapping[int, int]
    audit_faults: Sequence[str] | None
    buyers: Mapping[int, int | None] = {}


class Seen(Struct, frozen=True):
    """What the receivers of one process kept: the viewers' book and lists by room."""

    book: FrameBook
    watches: Sequence[Watch]


class Verdict(Struct, frozen=True):
    """What was found; `ok` when nothing was found wrong and there was something to judge.

    Attributes:
        viewers_lost: who missed something and were told so; `slow_viewers_lost` those who read slowly on purpose.
    """

    ok: bool
    faults: list[Fault]
    gifts_told: int
    gifts_accepted: int
    gifts_undone: int
    gifts_seen: int
    combos_seen: int
    viewers_checked: int
    viewers_lost: int
    slow_viewers_lost: int
    wallets_checked: int
    purchases_credited: int = 0


def judge(
    told: Told,
    sightings: Sequence[Sightings],
    seen: Sequence[Seen],
    combo_window_ms: int,
    money: MoneyRead,
    client_faults: Sequence[str] = (),
    purchases: Sequence[PurchaseBook] = (),
) -> Verdict:
    """Check everything that can be checked from outside.

    Args:
        sightings: of every complete receiver; each room with gifts needs one.
        seen: of the viewers, by process and room.
        client_faults: what befell the generator's own clients, in words.
    """
    faults = Faults()
    for words in client_faults:
        faults.add(FaultKind.CLIENT, words)
    check_answers(told, faults)
    accepted, undone = told.accepted_keys_by_room(), told.undone_keys_by_room()
    truths: dict[int, Sightings] = {}
    for book in sightings:
        truths.setdefault(book.room, book)
        check_sightings(told, book, accepted.get(book.room, set()), undone.get(book.room, set()), faults)
        check_combos(told, book, combo_window_ms, faults)
    for room in accepted.keys() - truths.keys():
        faults.add(FaultKind.VACUOUS, f"{told.run.room(room)} had gifts and no complete receiver")
    if not accepted:
        faults.add(FaultKind.VACUOUS, "no gift was accepted")
    viewers = _check_viewers(told, truths, seen, faults)
    check_wallets(told, money.balances, faults)
    check_purchases(told.run, purchases, money.buyers, faults)
    check_earnings(told, money.live_diamonds, money.share_bp, faults)
    for words in ["the audit could not be had"] if money.audit_faults is None else money.audit_faults:
        faults.add(FaultKind.AUDIT, words)
    return Verdict(
        ok=not faults,
        faults=faults.listed(),
        gifts_told=sum(len(book) for book in told.books.values()),
        gifts_accepted=sum(len(keys) for keys in accepted.values()),
        gifts_undone=sum(len(keys) for keys in undone.values()),
        gifts_seen=sum(len(book) - book.key.count(NO_KEY) - book.undone.count(1) for book in truths.values()),
        combos_seen=sum(len(book.combos.names) for book in truths.values()),
        viewers_checked=viewers.checked,
        viewers_lost=viewers.lost,
        slow_viewers_lost=viewers.slow_lost,
        wallets_checked=len(money.balances) + len(money.buyers),
        purchases_credited=sum(book.state.count(Bought.CREDITED) for book in purchases),
    )


def _check_viewers(told: Told, truths: Mapping[int, Sightings], seen: Sequence[Seen], faults: Faults) -> ViewersChecked:
    checked = lost = slow_lost = 0
    for viewers in seen:
        room = told.run.room(viewers.book.room)
        truth = truths.get(viewers.book.room)
        if truth is None:
            faults.add(FaultKind.VACUOUS, f"{room} had viewers and no complete receiver")
            continue
        result = check_shown(room, truth, viewers.book, viewers.watches, faults)
        checked += result.checked
        lost += result.lost
        slow_lost += result.slow_lost
    if lost and not checked:
        faults.add(FaultKind.VACUOUS, f"all {lost} viewers had missed something, so no sum was checked")
    return ViewersChecked(checked, lost, slow_lost)
