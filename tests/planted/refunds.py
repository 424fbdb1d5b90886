"""Bugs that somebody could put into refunds whose money did not go: what was taken comes back."""

from tests.planted.planting import Bug, Edit

REINSTATING = "ledger/refunds/reinstating.py"
ROWS = "ledger/refunds/refund_rows.py"

OF_REFUNDS = [
    Bug(
        "reinstated_twice",
        "refunds",
        "",
        [
            Edit(REINSTATING, "WHERE t.done_at IS NULL AND r.state", "WHERE r.state"),
            Edit(REINSTATING, 'if await connection.fetchval(_LOCK, row["refund"]) is not None:', "if False:"),
            Edit(
                REINSTATING,
                'hashlib.blake2b(content, digest_size=16, person=b"giftwire back").digest()',
                "uuid.uuid4().bytes",
            ),
            Edit(REINSTATING, 'uuid_of(id_of_no_time(row["refund"].bytes, b"giftwire back"))', "uuid.uuid4()"),
        ],
    ),
    Bug(
        "creators_part_not_given_back",
        "refunds",
        "I1:",
        [Edit(REINSTATING, 'if share["diamonds"] or share["commission"]:', "if False:")],
    ),
    Bug(
        "reinstated_before_its_refund_is_through",
        "refunds",
        "",
        [Edit(REINSTATING, " AND r.state IN ('settled', 'voided')", "")],
    ),
    Bug(
        "orders_not_counted_in_what_a_provider_tells",
        "told_twice",
        "a refund took other coins",
        [Edit(ROWS, "WHERE r.money = 'told' OR r.money = 'provider' AND t.refund IS NULL", "WHERE r.money = 'told'")],
    ),
    Bug(
        "order_of_what_was_told_before_taken",
        "told_twice",
        "a refund took other coins",
        [Edit(ROWS, ".may_be_the_same(told):", ".may_be_the_same(0):")],
    ),
]
