"""Bugs that somebody could put into what is left of gifts when their parts are rounded down."""

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
