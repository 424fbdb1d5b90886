"""Bugs that somebody could put into gifts that may be undone."""

from tests.planted.planting import Bug, Edit

GIFT, REVERSE = "ledger/live/lua/gift.lua", "ledger/live/lua/reverse.lua"
OPEN_GIFTS, SETTLE = "ledger/live/lua/parts/open_gifts.lua", "ledger/live/lua/parts/settle.lua"
UNDO, SETTLE_DUE = "ledger/live/lua/undo_gift.lua", "ledger/live/lua/settle_gifts.lua"

OF_UNDONE_GIFTS = [
    Bug(
        "gift_settled_twice",
        "machine",
        "",
        [Edit(SETTLE, "  close_gifts(keys, fields, closed)\n", "")],
    ),
    Bug(
        "gift_undone_after_its_settlement",
        "machine",
        "",
        [Edit(SETTLE, "  close_gifts(keys, fields, closed)\n", "  redis.call('ZREM', keys[7], unpack(fields))\n")],
    ),
    Bug(
        "deadline_of_a_gift_ignored",
        "machine",
        "told",
        [Edit(UNDO, "if now_ms >= gift.until_ms then", "if false then")],
    ),
    Bug(
        "gift_settled_before_its_time",
        "machine",
        "",
        [Edit(SETTLE_DUE, "string.format('%.0f', totals.clock)", "string.format('%.0f', totals.clock + 1)")],
    ),
    Bug(
        "undone_coins_stay_counted",
        "machine",
        "",
        [Edit(UNDO, "if guard then call('HSET'", "if false then call('HSET'")],
    ),
    Bug(
        "undone_coins_stay_counted_for_the_creator",
        "machine",
        "",
        [Edit(UNDO, "math.max(0, tonumber(given[2] or 0) - coins)", "tonumber(given[2] or 0)")],
    ),
    Bug(
        "held_gift_without_its_deadline",
        "machine",
        "I1:",
        [Edit(OPEN_GIFTS, "  redis.call('ZADD', keys[windows.first_key + 1], unpack(deadlines))\n", "")],
    ),
    Bug(
        "more_gifts_open_than_may_be",
        "machine",
        "told",
        [Edit(OPEN_GIFTS, "undo_ms < 1 or windows.left < 1 or", "undo_ms < 1 or")],
    ),
    Bug(
        "open_gifts_do_not_count_in_the_sums",
        "machine",
        "",
        [Edit(GIFT, "amount_max - DIAMONDS_PER_COIN * held_gifts", "amount_max")],
    ),
    Bug(
        "refund_does_not_wait_for_open_gifts",
        "machine",
        "told",
        [Edit(REVERSE, "if open_gifts > 0 then", "if open_gifts < 0 then")],
    ),
    Bug(
        "gifts_open_again_while_a_refund_waits",
        "machine",
        "",
        [Edit(REVERSE, "  shut_windows(shut_key, viewer, now_ms + ARGV[9], now_ms)\n", "")],
    ),
    Bug(
        "coins_that_are_undone_come_unnoticed",
        "machine",
        "I1: coins came",
        [Edit(UNDO, "'clock', now_ms, 'came_seq', totals.seq,\n", "'clock', now_ms,\n")],
    ),
    Bug(
        "open_gifts_missing_from_a_repair",
        "repairs",
        "",
        [Edit("ledger/mending/replay.py", "        _gifts(records, since_ms),\n", "        [],\n")],
    ),
    Bug(
        "undone_gifts_missing_from_a_repair",
        "repairs",
        "",
        [Edit("ledger/live/lua/replay.lua", "    if value then call('HSET', undone_key, field, value) end\n", "")],
    ),
    Bug(
        "books_earn_what_is_only_held",
        "audit",
        "I1",
        [
            Edit(
                "ledger/books/flush_batch.py",
                "        _add(sums, AccountKind.COINS_HELD, partition, -coins)\n",
                "",
            )
        ],
    ),
    Bug(
        "bonus_coins_worth_all_in_a_held_gift",
        "worth",
        "I9",
        [
            Edit(
                "ledger/lots/open_lots.py",
                "        return _less(parts, coins, creator_diamonds, agency_diamonds)\n\n    def undo_gift",
                "        return NOTHING_LESS\n\n    def undo_gift",
            )
        ],
    ),
]
