-- Agencies are paid like creators. Their days, methods, withdrawals and accounts stand beside the creators' under a name
-- of their own: agency/ and the agency's id, which no creator's id can be.

CREATE TABLE agencies (
    agency     TEXT        COLLATE "C" PRIMARY KEY CHECK (agency ~ '^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$'),
    name       TEXT        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    country    TEXT        COLLATE "C" CHECK (country ~ '^[A-Z]{2}$'),
    made_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    changed_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

INSERT INTO agencies (agency, name)
SELECT agency, agency FROM creators WHERE agency IS NOT NULL
UNION SELECT agency, agency FROM journal_records WHERE agency IS NOT NULL;
ALTER TABLE creators ADD FOREIGN KEY (agency) REFERENCES agencies;
CREATE INDEX creators_agency ON creators (agency, creator) WHERE agency IS NOT NULL;

ALTER TABLE withdrawals DROP CONSTRAINT withdrawals_method_creator_fkey;
ALTER TABLE payout_methods DROP CONSTRAINT payout_methods_creator_fkey;
ALTER TABLE payout_methods RENAME COLUMN creator TO payee;
ALTER TABLE withdrawals RENAME COLUMN creator TO payee;
ALTER TABLE withdrawals ADD FOREIGN KEY (method, payee) REFERENCES payout_methods (id, payee);

-- What agencies were given so far, by day: from now on the flusher adds to it.
INSERT INTO creator_days (creator, day, earned, gifts, discounted)
SELECT 'agency/' || r.agency, (r.at AT TIME ZONE 'UTC')::date, sum(r.agency_diamonds - coalesce(l.agency_diamonds, 0)),
    count(*), sum(coalesce(l.agency_diamonds, 0))
FROM journal_records r LEFT JOIN gift_discounts l USING (partition, seq)
WHERE r.agency IS NOT NULL GROUP BY 1, 2;
