"""Bugs that somebody could put into what coins are worth, and what is left of gifts that are rounded down."""

from tests.planted.planting import Bug, Edit

COMMISSION, TERMS = "ledger/commission.py", "ledger/books/terms.py"
FLUSH, CLAW_BACK = "ledger/books/flush_batch.py", "ledger/refunds/claw_back.py"
_LEFT = "    left = _leave_residue(sums, record, body) if RATE_MARK in body.plan else 0\n"

OF_RESIDUES = [
    Bug("residue_left_in_the_commission", "worth", "gifts left", [Edit(FLUSH, _LEFT, "    left = 0\n")]),
    Bug(
        "residue_posted_twice",
        "worth",
        "I1: books, partition",
        [Edit(FLUSH, "body.commission_diamonds - body.agency_diamonds - left),", "body.commission_diamonds),")],
    ),
    Bug(
        "residue_entered_for_the_creator",
        "worth",
        "I9: ",
        [
            Edit(FLUSH, "        _add(sums, AccountKind.RESIDUE, record.partition, left)\n", "        pass\n"),
            Edit(
                FLUSH,
                "    _enter(batch, pending, partition, record.seq, body.creator_diamonds)\n",
                "    more = (_leave_residue(sums, record, body) if RATE_MARK in body.plan else 0)\n"
                "    _enter(batch, pending, partition, record.seq, body.creator_diamonds + more)\n",
            ),
        ],
    ),
    Bug(
        "creators_part_rounded_up",
        "worth",
        "journal_records_rates",
        [
            Edit(
                COMMISSION,
                "    creator_diamonds = diamonds * (BASIS_POINTS - commission_bp) // BASIS_POINTS\n",
                "    creator_diamonds = diamonds - diamonds * commission_bp // BASIS_POINTS\n",
            )
        ],
    ),
    Bug(
        "rate_not_kept_with_the_record",
        "worth",
        "by fractions",
        [
            Edit(
                TERMS,
                'f"{self.name}{RATE_MARK}{commission_bp}" if commission_bp % _WHOLE_PERCENT else self.name',
                "self.name",
            )
        ],
    ),
    Bug(
        "agency_is_given_the_residue",
        "worth",
        "an agency's part",
        [
            Edit(
                COMMISSION,
                "min(agency_diamonds, others_diamonds - residue(coins, commission_bp))",
                "min(agency_diamonds, others_diamonds)",
            )
        ],
    ),
    Bug(
        "refund_keeps_the_residue",
        "worth",
        "had left a residue",
        [
            Edit(
                CLAW_BACK,
                "    return sum(worths[key].residue_diamonds for key, share in shares.items() if share.commission)\n",
                "    return 0\n",
            )
        ],
    ),
]

OF_THE_WORTH = [
    Bug(
        "coins_of_a_hold_come_back_to_no_lot",
        "worth",
        "I9: ",
        [Edit("ledger/books/flush_batch.py", "        lots.end_hold(body.id, body.taken_coins)\n", "        pass\n")],
    ),
    Bug(
        "last_coins_of_a_hold_are_taken_first",
        "worth",
        "I9: ",
        [
            Edit(
                "ledger/lots/open_lots.py",
                "held.coins - min(held.coins, max(0, taken_coins - held.first))",
                "held.coins - min(held.coins, max(0, held.first + held.coins - taken_coins))",
            )
        ],
    ),
    Bug(
        "bonus_coins_given_as_paid_ones_after_a_restart",
        "worth",
        "I9: ",
        [
            Edit(
                "ledger/lots/worth_rows.py",
                "FROM open_lots WHERE discounted AND viewer",
                "FROM open_lots WHERE false AND viewer",
            )
        ],
    ),
    Bug(
        "bonus_coins_spent_before_paid_ones",
        "worth",
        "coins that are worth",
        [
            Edit(
                "ledger/lots/open_lots.py",
                "            self.lots.append(OpenLot(name, cheap, worth.worth_bp))",
                "            self.lots.insert(len(self.lots) - (coins > cheap), OpenLot(name, cheap, worth.worth_bp))",
            )
        ],
    ),
    Bug(
        "refund_leaves_coins_in_the_open_lots",
        "worth",
        "I9: ",
        [
            Edit(
                "ledger/books/flush_batch.py",
                "        lots.reverse(body.purchase, body.taken_coins)\n",
                "        pass\n",
            )
        ],
    ),
    Bug(
        "day_matures_what_bonus_coins_are_worth_less",
        "worth",
        "I10: cora has",
        [
            Edit(
                "ledger/books/flush_batch.py",
                "        day.earned -= less.creator\n",
                "",
            )
        ],
    ),
    Bug(
        "agency_matures_more_than_it_was_given",
        "worth",
        "I10: agency/stars has",
        [
            Edit(
                "ledger/books/flush_batch.py",
                "day.earned += body.agency_diamonds - less",
                "day.earned += body.agency_diamonds",
            )
        ],
    ),
    Bug(
        "agency_matures_from_the_creators_pending",
        "worth",
        "I10: ",
        [
            Edit(
                "ledger/payouts/payees.py",
                "    return AccountKey(AccountKind.AGENCY_MATURED, agency, DIAMONDS, BOOKS_PARTITION)",
                '    return AccountKey(AccountKind.PENDING, "cora", DIAMONDS, BOOKS_PARTITION)',
            )
        ],
    ),
    Bug(
        "refund_takes_back_more_than_was_given",
        "worth",
        "I9: refund",
        [
            Edit(
                "ledger/refunds/claw_back.py",
                "        worth.creator_diamonds += part.creator_diamonds\n",
                "        worth.creator_diamonds += part.creator_diamonds + part.less[0]\n",
            ),
            Edit(
                "ledger/refunds/claw_back.py",
                "        worth.commission_diamonds += part.commission_diamonds\n",
                "        worth.commission_diamonds += part.commission_diamonds - part.less[0]\n",
            ),
        ],
    ),
]
