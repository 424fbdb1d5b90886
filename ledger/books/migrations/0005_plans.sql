-- Commission plans in versions, the agency of a creator, and both on the records of gifts.

-- Versions of a plan are only ever added, and the newest counts: a record's plan@version says for ever how it was divided.
CREATE TABLE commission_plans (
    plan    TEXT        COLLATE "C" NOT NULL CHECK (plan ~ '^[a-z][a-z0-9_]{0,39}$'),
    version INTEGER     NOT NULL CHECK (version > 0),
    terms   JSONB       NOT NULL,
    made_by TEXT        COLLATE "C" NOT NULL CHECK (char_length(made_by) BETWEEN 1 AND 100),
    made_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (plan, version)
);

ALTER TABLE creators ADD COLUMN agency TEXT COLLATE "C" CHECK (agency ~ '^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$');

-- NULL on gifts without a plan or an agency, which cost nothing more that way.
ALTER TABLE journal_records
    ADD COLUMN plan            TEXT   COLLATE "C",
    ADD COLUMN agency          TEXT   COLLATE "C",
    ADD COLUMN agency_diamonds BIGINT,
    ADD CHECK ((agency IS NULL) = (agency_diamonds IS NULL)),
    ADD CHECK (agency_diamonds BETWEEN 1 AND commission_diamonds);
