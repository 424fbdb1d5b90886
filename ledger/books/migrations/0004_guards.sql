-- What was decided about viewers: freezes by operators, caps by themselves. A row is written before the live ledger is
-- told, and told_version is the last version that it took.

CREATE TABLE guards (
    viewer         TEXT        COLLATE "C" PRIMARY KEY CHECK (viewer ~ '^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$'),
    version        BIGINT      NOT NULL CHECK (version >= 0),
    told_version   BIGINT      NOT NULL DEFAULT 0 CHECK (told_version BETWEEN 0 AND version),
    -- The reason, where the account is frozen.
    frozen         TEXT        CHECK (char_length(frozen) BETWEEN 1 AND 200),
    -- Caps of coins; NULL for none. From `_from` on `_pending` holds instead, also where that is NULL.
    gift_coins     BIGINT      CHECK (gift_coins BETWEEN 0 AND 9007199254740991),
    gift_pending   BIGINT      CHECK (gift_pending BETWEEN 0 AND 9007199254740991),
    gift_from      TIMESTAMPTZ CHECK (gift_from IS NOT NULL OR gift_pending IS NULL),
    day_coins      BIGINT      CHECK (day_coins BETWEEN 0 AND 9007199254740991),
    day_pending    BIGINT      CHECK (day_pending BETWEEN 0 AND 9007199254740991),
    day_from       TIMESTAMPTZ CHECK (day_from IS NOT NULL OR day_pending IS NULL),
    week_coins     BIGINT      CHECK (week_coins BETWEEN 0 AND 9007199254740991),
    week_pending   BIGINT      CHECK (week_pending BETWEEN 0 AND 9007199254740991),
    week_from      TIMESTAMPTZ CHECK (week_from IS NOT NULL OR week_pending IS NULL),
    month_coins    BIGINT      CHECK (month_coins BETWEEN 0 AND 9007199254740991),
    month_pending  BIGINT      CHECK (month_pending BETWEEN 0 AND 9007199254740991),
    month_from     TIMESTAMPTZ CHECK (month_from IS NOT NULL OR month_pending IS NULL),
    changed_at     TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX guards_owed ON guards (viewer) WHERE told_version < version;

-- Who froze or thawed an account, when and why; never changed.
CREATE TABLE freezes (
    number BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    viewer TEXT        COLLATE "C" NOT NULL REFERENCES guards,
    reason TEXT        CHECK (char_length(reason) BETWEEN 1 AND 200), -- NULL: thawed
    by     TEXT        COLLATE "C" NOT NULL CHECK (char_length(by) BETWEEN 1 AND 100),
    at     TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX freezes_viewer ON freezes (viewer, number);
