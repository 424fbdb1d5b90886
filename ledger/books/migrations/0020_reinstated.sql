-- A dispute that was won, a refund that failed: what was taken for it is given back. And events that nobody could use are
-- put aside once an operator has looked at them.

ALTER TABLE rail_events DROP CONSTRAINT rail_events_outcome_check;
ALTER TABLE rail_events ADD CONSTRAINT rail_events_outcome_check
    CHECK (outcome IN ('paid', 'declined', 'expired', 'refunded', 'charged_back', 'reinstated'));

ALTER TABLE rail_events
    ADD COLUMN looked_by   TEXT COLLATE "C" CHECK (char_length(looked_by) BETWEEN 1 AND 300),
    ADD COLUMN looked_note TEXT CHECK (char_length(looked_note) BETWEEN 1 AND 500);
ALTER TABLE rail_events ADD CONSTRAINT rail_events_looked CHECK ((looked_by IS NULL) = (looked_note IS NULL));
DROP INDEX rail_events_unusable;
CREATE INDEX rail_events_unusable ON rail_events (heard_at DESC, rail, event)
    WHERE effect IN ('wrong_amount', 'unknown_purchase') AND looked_by IS NULL;

-- One for a refund. Its numbers are NULL until it is done, in one transaction with the records that say so.
CREATE TABLE reinstatements (
    refund              UUID        PRIMARY KEY REFERENCES refunds,
    reason              TEXT        NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 500),
    asked_by            TEXT        COLLATE "C" NOT NULL CHECK (char_length(asked_by) BETWEEN 1 AND 300),
    asked_at            TIMESTAMPTZ NOT NULL DEFAULT now(),
    done_at             TIMESTAMPTZ,
    coins               BIGINT      CHECK (coins >= 0),
    creator_diamonds    BIGINT      CHECK (creator_diamonds >= 0),
    commission_diamonds BIGINT      CHECK (commission_diamonds >= 0),
    -- Of the grant by which the coins come back; NULL where none were taken.
    grant_id            UUID        UNIQUE REFERENCES credits,
    CHECK ((done_at IS NULL) = (coins IS NULL) AND (done_at IS NULL) = (creator_diamonds IS NULL)
        AND (done_at IS NULL) = (commission_diamonds IS NULL)),
    CHECK ((coalesce(coins, 0) > 0) = (grant_id IS NOT NULL))
);

CREATE INDEX reinstatements_open ON reinstatements (asked_at, refund) WHERE done_at IS NULL;
