-- Refunds and charge-backs: what is owed back, what the wallet gave, and whose earnings were taken back for it.

-- What the wallet gave of the coins of a reversal.
ALTER TABLE journal_records ADD COLUMN taken_coins BIGINT;
ALTER TABLE journal_records ADD CONSTRAINT journal_records_taken CHECK (taken_coins BETWEEN 0 AND coins) NOT VALID;
CREATE INDEX journal_records_reversals ON journal_records (viewer, seq) WHERE kind IN ('refund', 'chargeback');

-- A wallet may owe, and coins that come in then leave it below zero.
ALTER TABLE credits DROP CONSTRAINT credits_balance_coins_check;
ALTER TABLE credits ADD CONSTRAINT credits_balance_coins_check
    CHECK (balance_coins BETWEEN -9007199254740991 AND 9007199254740991);
CREATE INDEX credits_viewer ON credits (viewer, id);

-- voided: all of it was refunded before it was paid, so it is never credited.
ALTER TABLE purchases DROP CONSTRAINT purchases_state_check;
ALTER TABLE purchases ADD CONSTRAINT purchases_state_check
    CHECK (state IN ('pending', 'paid', 'credited', 'declined', 'expired', 'voided'));
ALTER TABLE purchases ADD COLUMN refunded_coins BIGINT NOT NULL DEFAULT 0;
ALTER TABLE purchases ADD COLUMN refunded_minor BIGINT NOT NULL DEFAULT 0;
ALTER TABLE purchases ADD CONSTRAINT purchases_refunded_coins CHECK (refunded_coins BETWEEN 0 AND coins + bonus_coins);
ALTER TABLE purchases ADD CONSTRAINT purchases_refunded_minor CHECK (refunded_minor BETWEEN 0 AND price_minor);

ALTER TABLE rail_events DROP CONSTRAINT rail_events_outcome_check;
ALTER TABLE rail_events ADD CONSTRAINT rail_events_outcome_check
    CHECK (outcome IN ('paid', 'declined', 'expired', 'refunded', 'charged_back'));

-- owed: nothing taken yet. taken: the wallet gave, or had nothing to give. settled: and the creators' part is done.
CREATE TABLE refunds (
    id                  UUID        PRIMARY KEY,
    purchase            UUID        NOT NULL REFERENCES purchases,
    viewer              TEXT        COLLATE "C" NOT NULL,
    kind                TEXT        COLLATE "C" NOT NULL CHECK (kind IN ('refund', 'chargeback')),
    -- What was asked for; NULL for all that was left.
    asked_coins         BIGINT      CHECK (asked_coins BETWEEN 1 AND 9007199254740991),
    coins               BIGINT      NOT NULL CHECK (coins BETWEEN 1 AND 9007199254740991),
    reason              TEXT        NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 500),
    asked_by            TEXT        COLLATE "C" NOT NULL CHECK (char_length(asked_by) BETWEEN 1 AND 300),
    state               TEXT        COLLATE "C" NOT NULL DEFAULT 'owed'
                        CHECK (state IN ('owed', 'taken', 'settled', 'voided')),
    made_at             TIMESTAMPTZ NOT NULL DEFAULT now(),
    changed_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- From the wallet, and the wallet right after.
    taken_coins         BIGINT      CHECK (taken_coins BETWEEN 0 AND coins),
    balance_coins       BIGINT      CHECK (balance_coins BETWEEN -9007199254740991 AND 9007199254740991),
    -- Those of its coins that had paid for gifts; what was taken back for them, and what the platform bears.
    returned_coins      BIGINT      CHECK (returned_coins BETWEEN 0 AND coins),
    creator_diamonds    BIGINT      CHECK (creator_diamonds >= 0),
    commission_diamonds BIGINT      CHECK (commission_diamonds >= 0),
    borne_diamonds      BIGINT      CHECK (borne_diamonds >= 0),
    CHECK (asked_coins IS NULL OR asked_coins = coins),
    CHECK ((state IN ('taken', 'settled')) = (taken_coins IS NOT NULL)),
    CHECK ((taken_coins IS NULL) = (balance_coins IS NULL)),
    CHECK ((state = 'settled') = (returned_coins IS NOT NULL)),
    CHECK ((returned_coins IS NULL) = (creator_diamonds IS NULL)
        AND (returned_coins IS NULL) = (commission_diamonds IS NULL)
        AND (returned_coins IS NULL) = (borne_diamonds IS NULL))
);

CREATE INDEX refunds_open ON refunds (made_at, id) WHERE state IN ('owed', 'taken');
CREATE INDEX refunds_purchase ON refunds (purchase, id);

-- For each creator and day (UTC) whose gifts the coins of a refund had paid for: their part, and what was taken of it.
CREATE TABLE refund_shares (
    refund              UUID   NOT NULL REFERENCES refunds,
    creator             TEXT   COLLATE "C" NOT NULL,
    day                 DATE   NOT NULL,
    coins               BIGINT NOT NULL CHECK (coins > 0),
    creator_diamonds    BIGINT NOT NULL CHECK (creator_diamonds >= 0),
    commission_diamonds BIGINT NOT NULL CHECK (commission_diamonds >= 0),
    from_pending        BIGINT NOT NULL CHECK (from_pending >= 0),
    from_available      BIGINT NOT NULL CHECK (from_available >= 0),
    PRIMARY KEY (refund, creator, day),
    CHECK (from_pending + from_available <= creator_diamonds),
    CHECK (creator_diamonds + commission_diamonds <= coins * 100)
);

CREATE INDEX refund_shares_creator ON refund_shares (creator, day);

-- What was taken back of a day's earnings while they were pending; it never matures.
ALTER TABLE creator_days ADD COLUMN taken_back BIGINT NOT NULL DEFAULT 0;
ALTER TABLE creator_days ADD CONSTRAINT creator_days_taken_back CHECK (taken_back >= 0 AND matured + taken_back <= earned);
DROP INDEX creator_days_ripening;
CREATE INDEX creator_days_ripening ON creator_days (day) WHERE matured + taken_back < earned;
