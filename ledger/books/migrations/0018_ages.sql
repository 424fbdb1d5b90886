-- What is known of people's age, country and guardians, and what the live ledger is told of it. age_steps is worked out
-- from the others by rules whose digest is age_rules; both are empty where nothing is known.

ALTER TABLE guards
    -- Where age_least is set, the latest day that it can be: the person was at least so old when that was told.
    ADD COLUMN born        DATE CHECK (born BETWEEN '1870-01-01' AND '2199-12-31'),
    ADD COLUMN age_least   SMALLINT CHECK (age_least BETWEEN 0 AND 120),
    ADD COLUMN country     TEXT COLLATE "C" CHECK (country ~ '^[A-Z]{2}$'),
    -- Who consents, and since when; NULL for nobody.
    ADD COLUMN guardian    TEXT CHECK (char_length(guardian) BETWEEN 1 AND 100),
    ADD COLUMN guardian_at TIMESTAMPTZ,
    ADD COLUMN age_steps   BYTEA NOT NULL DEFAULT '',
    ADD COLUMN age_rules   TEXT COLLATE "C" NOT NULL DEFAULT '',
    ADD CONSTRAINT guards_age_least_born CHECK (age_least IS NULL OR born IS NOT NULL),
    ADD CONSTRAINT guards_guardian_since CHECK ((guardian IS NULL) = (guardian_at IS NULL));

CREATE INDEX guards_age_rules ON guards (age_rules, viewer) WHERE age_rules <> '';

-- What was told of a person, as it stood after it, by whom and when; never changed. A guardian that is not there any more
-- has taken the consent back.
CREATE TABLE told_ages (
    number    BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    viewer    TEXT        COLLATE "C" NOT NULL REFERENCES guards,
    born      DATE,
    age_least SMALLINT,
    country   TEXT        COLLATE "C",
    guardian  TEXT,
    by        TEXT        COLLATE "C" NOT NULL CHECK (char_length(by) BETWEEN 1 AND 100),
    at        TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX told_ages_viewer ON told_ages (viewer, number);
