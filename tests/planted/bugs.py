"""Bugs that somebody could put into the product: each as a change of its text, with the check that must notice.

A bug whose text is no longer there fails its test: then the bug has to be planted anew in the text that took its place.
"""

from tests.planted.planting import Bug, Edit
from tests.planted.refunds import OF_REFUNDS
from tests.planted.undone_gifts import OF_UNDONE_GIFTS
from tests.planted.worth import OF_RESIDUES, OF_THE_WORTH

GIFT, CREDIT, TRIM = "ledger/live/lua/gift.lua", "ledger/live/lua/credit.lua", "ledger/live/lua/trim.lua"
GUARDS = "ledger/live/lua/parts/guards.lua"
REVERSE = "ledger/live/lua/reverse.lua"

OF_THE_SCRIPTS = [
    Bug(
        "id_forgotten_within_its_window",
        "machine",
        "I3: an id is forgotten while it is still taken",
        [
            Edit(
                "ledger/live/gift_call.py",
                "return 2 * config.id_bucket_ms + config.id_window_ms",
                "return config.id_window_ms",
            )
        ],
    ),
    Bug(
        "id_forgotten_by_a_clock_that_ran_ahead",
        "machine",
        "",
        [Edit(GIFT, " or gone[bucket_of[i]] then", " then")],
    ),
    Bug(
        "window_follows_a_clock_that_goes_back",
        "machine",
        "",
        [
            Edit(
                GIFT,
                "local oldest_ms, newest_ms = now_ms - window_ms",
                "local oldest_ms, newest_ms = time_ms - window_ms",
            )
        ],
    ),
    Bug(
        "id_at_the_windows_edge_refused",
        "machine",
        "",
        [Edit(GIFT, "id_ms_of[i] < oldest_ms or", "id_ms_of[i] <= oldest_ms or")],
    ),
    Bug(
        "id_twice_in_one_commit_paid_twice",
        "machine",
        "",
        [Edit(GIFT, "    if has_twins and not known then known = twins[id_fields[i]] end\n", "")],
    ),
    Bug(
        "replay_charged_again",
        "machine",
        "",
        [Edit(GIFT, "    if known then\n", "    if known and sub(known, 1, 8) ~= sub(id_values[i], 1, 8) then\n")],
    ),
    Bug(
        "sums_of_a_partition_may_overflow",
        "machine",
        "",
        [
            Edit(
                GIFT,
                "\n        or earned + diamonds_of[i] > bound or commission + commission_of[i] > bound then",
                " then",
            ),
            Edit(GIFT, "earnings[creator] + diamonds_of[i] > bound or spent", "spent"),
        ],
    ),
    Bug(
        "wallet_not_checked_before_the_write",
        "machine",
        "",
        [Edit(GIFT, "    elseif wallet < coins then\n", "    elseif wallet <= 0 and coins > 0 then\n")],
    ),
    Bug(
        "credit_checked_after_the_write",
        "machine",
        "",
        [
            Edit(
                CREDIT,
                "if wallet > amount_max or coins_in > amount_max then return {OVERFLOW, 0} end\n\n"
                "redis.call('HSET', wallets_key, viewer, wallet)\n",
                "redis.call('HSET', wallets_key, viewer, wallet)\n"
                "if wallet > amount_max or coins_in > amount_max then return {OVERFLOW, 0} end\n",
            )
        ],
    ),
    Bug(
        "record_without_its_posting",
        "machine",
        "I1:",
        [Edit(GIFT, "if next(changed_earnings) then write_changed", "if false then write_changed")],
    ),
    Bug(
        "posting_without_its_record",
        "machine",
        "I4:",
        [
            Edit(
                CREDIT,
                "redis.call('XADD', journal_key,",
                "if coins ~= 20 then redis.call('XADD', journal_key,",
            ),
            Edit(CREDIT, "'r', '\\145' .. body)\n", "'r', '\\145' .. body) end\n"),
        ],
    ),
    Bug(
        "bodies_of_refused_gifts_in_the_journal",
        "machine",
        "I4:",
        [Edit(GIFT, "elseif #paid < #coins_of then", "elseif false then")],
    ),
    Bug(
        "combo_goes_on_after_its_deadline",
        "machine",
        "",
        [
            Edit(
                "ledger/live/lua/parts/combos.lua",
                "    if now_ms <= deadline_ms and stored_count",
                "    if stored_count",
            )
        ],
    ),
    Bug(
        "trim_takes_one_record_more",
        "machine",
        "I9: records went that were still needed",
        [Edit(TRIM, "seq + 1)", "seq + 2)")],
    ),
    Bug(
        "lost_answer_told_again_under_another_id",
        "machine",
        "",
        [
            Edit(
                "ledger/live/batcher.py",
                "                self.stats.retries += 1\n",
                "                self.stats.retries += 1\n"
                "                for gift in (gift for group in groups for gift in group):\n"
                "                    field = gift.id_field\n"
                "                    gift.id_field = field[:17] + bytes([field[17] ^ 1]) + field[18:]\n",
            )
        ],
    ),
    Bug(
        "cap_allows_one_coin_more",
        "machine",
        "told",
        [Edit(GUARDS, "guard.spent[k] + coins > guard.caps[k]", "guard.spent[k] + coins > guard.caps[k] + 1")],
    ),
    Bug(
        "birthday_comes_into_force_too_early",
        "machine",
        "told",
        [Edit(GUARDS, "    if now_ms >= values[1] then step = values end\n", "    step = values\n")],
    ),
    Bug(
        "caps_of_an_age_forgotten",
        "machine",
        "told",
        [Edit(GUARDS, "if step[4 + k] >= 0 and", "if step[4 + k] > 5 and")],
    ),
    Bug(
        "freeze_forgotten_with_the_next_gift",
        "machine",
        "",
        [Edit(GUARDS, "spent[4])\n    .. guard.settings\n", "spent[4])\n")],
    ),
    Bug(
        "older_settings_take_the_place_of_newer_ones",
        "machine",
        "",
        [
            Edit(
                "ledger/live/lua/set_guards.lua",
                "COUNTS_BYTES + 1) <= struct.unpack",
                "COUNTS_BYTES + 1) ~= struct.unpack",
            )
        ],
    ),
    Bug(
        "refund_taken_twice",
        "machine",
        "",
        [
            Edit(
                REVERSE,
                "redis.call('HSET', reversals_key, id, digest .. struct.pack('>dd', wallet, taken))\n",
                "",
            )
        ],
    ),
    Bug(
        "refund_takes_what_the_wallet_must_keep",
        "spent_coins",
        "a refund took other coins",
        [Edit(REVERSE, "math.max(0, math.min(most, wallet - keep))", "most")],
    ),
    Bug(
        "gifts_paid_while_orders_are_shut_out",
        "machine",
        "",
        [Edit(GIFT, "  if epoch < 1 then return nil end\n", "")],
    ),
    Bug(
        "coins_credited_while_orders_are_shut_out",
        "machine",
        "",
        [Edit(CREDIT, "if epoch < 1 then", "if epoch < 0 then")],
    ),
    Bug(
        "coins_taken_back_although_others_came_meanwhile",
        "machine",
        "",
        [Edit(REVERSE, "if ARGV[8] ~= '' and ", "if ARGV[8] == 'never' and ")],
    ),
    Bug(
        "coins_that_come_back_from_a_hold_are_not_noted",
        "machine",
        "I1: coins came, and nobody would notice",
        [Edit("ledger/live/lua/end_hold.lua", "'clock', now_ms, 'came_seq', seq,", "'clock', now_ms,")],
    ),
    Bug(
        "coins_taken_back_while_orders_are_shut_out",
        "machine",
        "",
        [Edit(REVERSE, "if epoch < 1 then", "if epoch < 0 then")],
    ),
    Bug(
        "outcome_names_another_record",
        "machine",
        "",
        [Edit("ledger/live/gift_call.py", "    seq -= len(after) // _AFTER.size\n", "")],
    ),
]

HOLD, END_HOLD = "ledger/live/lua/hold.lua", "ledger/live/lua/end_hold.lua"

OF_HOLDS = [
    Bug(
        "hold_stays_open_after_its_end",
        "machine",
        "",
        [Edit(END_HOLD, "call('HDEL', holds_key, field)\n", "")],
    ),
    Bug(
        "hold_that_is_over_can_be_taken",
        "machine",
        "told",
        [Edit(END_HOLD, "if now_ms >= expires_ms then", "if how == EXPIRE and now_ms >= expires_ms then")],
    ),
    Bug(
        "hold_keeps_what_was_not_taken",
        "machine",
        "",
        [Edit(END_HOLD, "or 0) + back\n", "or 0) + (how == SETTLE and 0 or back)\n")],
    ),
    Bug(
        "coins_that_come_back_stay_counted",
        "machine",
        "",
        [Edit(GUARDS, "math.max(0, counts[2 * k + 1] - coins)", "counts[2 * k + 1]")],
    ),
    Bug(
        "hold_without_its_deadline",
        "machine",
        "I1:",
        [Edit(HOLD, "call('ZADD', deadlines_key, expires_ms, field)\n", "")],
    ),
    Bug(
        "hold_that_a_cap_does_not_count",
        "machine",
        "",
        [Edit(HOLD, "  count_gift(guard, coins, 0, 0, now_ms)\n", "")],
    ),
    Bug(
        "coins_held_while_orders_are_shut_out",
        "machine",
        "",
        [Edit(HOLD, "if epoch < 1 then", "if epoch < 0 then")],
    ),
    Bug(
        "hold_begun_again_after_its_end",
        "machine",
        "",
        [Edit(HOLD, "  known = call('HGET', ended_key, field)\n", "")],
    ),
    Bug(
        "books_take_a_void_for_charged",
        "audit",
        "I1",
        [
            Edit(
                "ledger/books/flush_batch.py",
                "zip(_HOLD_KINDS, (-body.coins, body.taken_coins), strict=True)",
                "zip(_HOLD_KINDS, (-body.taken_coins, body.taken_coins), strict=True)",
            )
        ],
    ),
]

OF_THE_WORKER = [
    Bug(
        "position_written_before_its_records",
        "audit",
        "I9",
        [
            Edit(
                "ledger/books/books.py",
                "async with connection.transaction():\n            rows",
                "if True:\n            rows",
            ),
            Edit(
                "ledger/books/books.py",
                "            composer = Composer(self._book)\n",
                "            lasts = {record.partition: record for record in records}.values()\n"
                "            await connection.execute(\n"
                "                _SAVE_POSITIONS, [r.partition for r in lasts], [r.epoch for r in lasts],\n"
                "                [r.seq for r in lasts], [r.at_ms for r in lasts],\n"
                "            )\n"
                "            composer = Composer(self._book)\n",
            ),
        ],
    ),
    Bug(
        "trimmed_before_the_rooms_were_told",
        "audit",
        "I9",
        [Edit("ledger/books/flusher.py", "(min(committed, relayed), committed.seq)", "(committed, committed.seq)")],
    ),
    Bug(
        "relay_notes_its_position_before_it_tells",
        "audit",
        "I5",
        [
            Edit(
                "gateway/rooms/relay.py",
                "        await self._broker.tell(tellings, _wallet_changes(records))\n",
                "        await self._ledger.save_relay_positions(batch.positions)\n"
                "        await self._broker.tell(tellings, _wallet_changes(records))\n",
            )
        ],
    ),
    Bug(
        "gift_told_again_by_the_next_relay",
        "audit",
        "I5",
        [Edit("gateway/rooms/lua/tell.lua", "  if record > told[partition] then\n", "  if true then\n")],
    ),
    Bug(
        "end_of_a_combo_forgotten",
        "audit",
        "I8",
        [
            Edit(
                "gateway/rooms/relay.py",
                "            self.stats.ended += await self._broker.end_combos(endings)\n",
                "            self.stats.ended += await self._broker.end_combos(endings[1:])\n",
            )
        ],
    ),
    Bug(
        "books_hold_another_wallet",
        "reconcile",
        "differ",
        [
            Edit(
                "ledger/books/copy_rows.py",
                "_COMBO.pack(4, combo.count, 8, combo.coins, 16, combo.id)",
                "_COMBO.pack(4, combo.count, 8, combo.count, 16, combo.id)",
            )
        ],
    ),
]

REPAIR, REPLAY = "ledger/mending/repair.py", "ledger/live/lua/replay.lua"
_NEXT_RECORD = "if seq + 1 ~= first_seq then"

OF_THE_REPAIR = [
    Bug(
        "epoch_not_raised",
        "repairs",
        "",
        [Edit(REPAIR, "(totals, Total.EPOCH, str(epoch))\n", "(totals, Total.EPOCH, str(epoch - 1))\n")],
    ),
    Bug(
        "promoted_server_takes_orders",
        "promotion",
        "in the old epoch",
        [Edit("ledger/live/redis_client.py", "known=None if any_server else _Known(),", "known=None,")],
    ),
    Bug(
        "only_the_first_partition_that_went_back_is_shut",
        "repairs",
        "",
        [
            Edit(
                "ledger/books/flusher.py",
                '                await self._redis.hset(totals, Total.EPOCH, "0")\n',
                '                await self._redis.hset(totals, Total.EPOCH, "1" if behind else "0")\n',
            )
        ],
    ),
    Bug(
        "repair_brings_back_under_running_orders",
        "repairs",
        "NotFenced",
        [Edit(REPAIR, '            await self._redis.hset(totals, Total.EPOCH, "0")\n', "            del totals\n")],
    ),
    Bug(
        "repair_skips_a_record",
        "repairs",
        "",
        [
            Edit(REPAIR, "one.live.seq + 1 for one in", "one.live.seq + 2 for one in"),
            Edit(REPLAY, _NEXT_RECORD, "if seq >= first_seq then"),
        ],
    ),
    Bug(
        "repair_applies_a_record_twice",
        "repairs",
        "",
        [
            Edit(
                REPAIR,
                "        await self._replay.bring_back(records, seconds * 1000 + micros // 1000)\n",
                "        await self._replay.bring_back(records, seconds * 1000 + micros // 1000)\n"
                "        await self._replay.bring_back(records, seconds * 1000 + micros // 1000)\n",
            ),
            Edit(REPLAY, _NEXT_RECORD, "if seq + 1 < first_seq then"),
            Edit(REPLAY, "  if coins ~= before[v] then", "  if false then"),
        ],
    ),
    Bug(
        "repair_forgets_refunds",
        "repairs",
        "I3: ids of refunds are not those that were taken",
        [Edit(REPLAY, "put(reversals_key, sizes[3])", "take(sizes[3])")],
    ),
]

OF_THE_ROOM = [
    Bug(
        "merge_drops_counts",
        "checker",
        "viewer_sum",
        [Edit("gateway/room/merge.py", "                    found.count += fact.count\n", "")],
    ),
    Bug(
        "summary_leaves_one_out",
        "checker",
        "viewer_sum",
        [
            Edit(
                "gateway/room/merge.py",
                "                    sum(found.coins for found in hidden),\n",
                "                    sum(found.coins for found in hidden[1:]),\n",
            )
        ],
    ),
]

VOLUMES = "ledger/books/volumes.py"

OF_THE_VOLUMES = [
    Bug(
        "id_of_an_older_volume_not_looked_for",
        "volumes",
        "I3: gift",
        [Edit(VOLUMES, "        if not self._volumes or last < self._volumes[0].end_seq:\n", "        if True:\n")],
    ),
    Bug(
        "id_of_an_older_volume_taken",
        "volumes",
        "I3: gift",
        [Edit(VOLUMES, "WHERE (r.partition, r.seq) <> (n.partition, n.seq) ORDER", "WHERE r.seq > n.seq ORDER")],
    ),
]
BUGS = [
    *(*OF_THE_VOLUMES, *OF_THE_WORTH, *OF_THE_SCRIPTS, *OF_HOLDS, *OF_UNDONE_GIFTS),
    *(*OF_THE_WORKER, *OF_THE_REPAIR, *OF_REFUNDS, *OF_RESIDUES, *OF_THE_ROOM),
]
