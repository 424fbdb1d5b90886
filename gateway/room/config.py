"""What an operator may set about rooms, with its bounds. Every limit of rooms, broker and relay is a field here."""

from typing import Annotated

from msgspec import Meta, Struct

_Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
_Millis = Annotated[int, Meta(ge=1, le=2**40)]
_Coins = Annotated[int, Meta(ge=1, le=2**53 - 1)]


class RoomConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of rooms.

    Attributes:
        tick_ms: the shortest pause between two ticks of a busy room; a quiet one is told at once.
        tick_ms_max: the longest pause that a huge room may come to, or any while ticks take too much time.
        tick_viewers: up to so many viewers on one gateway a room keeps to `tick_ms`; the pause grows in proportion.
        tick_share_permille_max: the part of a gateway's time that ticks may take; above it all pauses grow.
        events_per_tick_max: gift events that viewers are shown in one tick; the smallest beyond it become a summary.
        big_gift_coins: a gift worth so much is never put into a summary.
        history_facts_max: facts that a room's history holds, give or take one entry of it.
        resume_facts_max: facts that a session may have missed and still be sent when it comes back; beyond that it
            begins at the present, an overlay with the newest of them, and reads the history over HTTP if it wants.
        resume_page_facts: facts of one message to an overlay or creator that comes back.
        replay_facts_max: the newest facts that an overlay is shown which does not know where it stopped, counted from
            what it acknowledged, or which missed more than `resume_facts_max` or than the history holds.
        replay_ms_max: facts older than that it is not shown then.
        ack_save_ms: what overlays acknowledge is saved no more often than this.
        ack_life_ms: how long that is kept after it was last saved.
        history_page_entries: entries of a history that one read asks for.
        board_viewers_max: viewers on a room's board; the lowest beyond it are forgotten.
        board_entries_max: lines of the top list that a room is shown.
        board_ms: a room's top list is asked for again no sooner than this.
        presence_ms: how often a gateway tells how many viewers of a room it has.
        presence_life_ms: a gateway that has not told for so long counts for nothing.
        tell_facts_max: facts that one script call tells a room; more go in the next.
        endings_max: combos that one round trip ends; more go in the next.
        broker_connections_max: connections of one process for reading and telling rooms.
        broker_timeout_ms: how long the server may take for one command.
        reconnect_ms_max: the longest pause between two attempts while the server is away.
        ping_ms: a subscription that was silent for so long is pinged; after the same time again it counts as lost.
        relay_entries_max: journal entries that the relay takes from each partition in one read.
        relay_records_max: journal records that the relay means to take in one read; it asks for fewer entries then.
        relay_idle_ms: the longest that the idle relay waits in one read.
        relay_save_ms: while busy, the relay notes how far it is no more often than this.
        combo_window_ms: a combo goes on as long as its next gift comes this soon.
        undo_coins_min: a gift outside combos that costs so much can be undone by its sender for a while; 0 for none.
        undo_window_ms: for how long; its creator is paid then.
        combo_late_ms_max: a combo that is open so long after its deadline is a fault to the audit.
        audit_share_permille: what looking for every gift in its room may use of one processor all the time, its work
            in the servers included, in thousandths; walking through all histories may use half as much. With 0 nobody
            looks.
        audit_records: journal records whose gifts are looked for in one go.
        audit_pause_ms: pause where nothing is left to look at.
    """

    tick_ms: _Millis = 50
    tick_ms_max: _Millis = 250
    tick_viewers: _Count = 2_000
    tick_share_permille_max: Annotated[int, Meta(ge=10, le=1_000)] = 500
    events_per_tick_max: _Count = 10
    big_gift_coins: _Coins = 1_000
    history_facts_max: _Count = 20_000
    resume_facts_max: _Count = 5_000
    resume_page_facts: Annotated[int, Meta(ge=1, le=10_000)] = 250
    replay_facts_max: _Count = 500
    replay_ms_max: _Millis = 2 * 3600 * 1000
    ack_save_ms: _Millis = 1_000
    ack_life_ms: _Millis = 7 * 86_400 * 1000
    history_page_entries: Annotated[int, Meta(ge=1, le=10_000)] = 128
    board_viewers_max: _Count = 100_000
    board_entries_max: Annotated[int, Meta(ge=1, le=100)] = 10
    board_ms: _Millis = 1_000
    presence_ms: _Millis = 2_000
    presence_life_ms: _Millis = 7_000
    tell_facts_max: Annotated[int, Meta(ge=1, le=2_000)] = 256
    endings_max: Annotated[int, Meta(ge=1, le=2_000)] = 256
    broker_connections_max: Annotated[int, Meta(ge=2, le=500)] = 16
    broker_timeout_ms: _Millis = 5_000
    reconnect_ms_max: _Millis = 1_000
    ping_ms: _Millis = 3_000
    relay_entries_max: Annotated[int, Meta(ge=1, le=10_000)] = 32
    relay_records_max: _Count = 4_000
    relay_idle_ms: Annotated[int, Meta(ge=1, le=4_000)] = 500
    relay_save_ms: _Millis = 100
    combo_window_ms: Annotated[int, Meta(ge=500, le=60_000)] = 5_000
    undo_coins_min: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 5_000
    undo_window_ms: Annotated[int, Meta(ge=100, le=60_000)] = 10_000
    combo_late_ms_max: _Millis = 10_000
    audit_share_permille: Annotated[int, Meta(ge=0, le=1_000)] = 10
    audit_records: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    audit_pause_ms: _Millis = 1_000
