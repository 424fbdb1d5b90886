-- The office: who earns where, coins on their way into wallets, and earnings on their way out.
--
-- The checks repeat what the code promises, so that a fault of the code stops here and not in somebody's pocket.

CREATE TABLE creators (
    creator       TEXT        COLLATE "C" PRIMARY KEY CHECK (creator ~ '^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$'),
    name          TEXT        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    country       TEXT        COLLATE "C" CHECK (country ~ '^[A-Z]{2}$'),
    plan          TEXT        COLLATE "C" NOT NULL CHECK (plan ~ '^[a-z][a-z0-9_]{0,39}$'),
    commission_bp INTEGER     CHECK (commission_bp BETWEEN 0 AND 10000),
    made_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    changed_at    TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- Where gifts are given, such as room:demo. The ledger reads neither the kind nor the settings.
CREATE TABLE places (
    place      TEXT        COLLATE "C" PRIMARY KEY
               CHECK (place ~ '^[a-z]{1,16}:[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$'),
    creator    TEXT        COLLATE "C" NOT NULL REFERENCES creators,
    title      TEXT        NOT NULL CHECK (char_length(title) <= 200),
    settings   BYTEA       NOT NULL CHECK (octet_length(settings) <= 65536),
    made_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    changed_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX places_creator ON places (creator);

-- Coins for a wallet: written before Valkey is told, so that no credit is forgotten or done twice. Grants and purchases
-- share their ids here. due_at is when the coins are owed (a grant: at once; a purchase: when it is paid).
CREATE TABLE credits (
    id            UUID        PRIMARY KEY,
    cause         TEXT        COLLATE "C" NOT NULL CHECK (cause IN ('grant', 'purchase')),
    viewer        TEXT        COLLATE "C" NOT NULL CHECK (viewer ~ '^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$'),
    coins         BIGINT      NOT NULL CHECK (coins BETWEEN 1 AND 9007199254740991),
    reference     TEXT        NOT NULL CHECK (char_length(reference) BETWEEN 1 AND 500),
    made_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    due_at        TIMESTAMPTZ,
    credited_at   TIMESTAMPTZ,
    balance_coins BIGINT      CHECK (balance_coins BETWEEN 0 AND 9007199254740991),
    -- Why it never will be credited; a paid purchase stays owed instead.
    refusal       TEXT        COLLATE "C" CHECK (refusal IS NULL OR (refusal = 'amount_overflow' AND cause = 'grant')),
    CHECK ((credited_at IS NULL) = (balance_coins IS NULL)),
    CHECK (credited_at IS NULL OR (due_at IS NOT NULL AND refusal IS NULL))
);

CREATE INDEX credits_owed ON credits (due_at, id)
    WHERE due_at IS NOT NULL AND credited_at IS NULL AND refusal IS NULL;

-- Who gave the coins of a grant; its reason is the credit's reference.
CREATE TABLE grants (
    id         UUID PRIMARY KEY REFERENCES credits,
    granted_by TEXT COLLATE "C" NOT NULL CHECK (char_length(granted_by) BETWEEN 1 AND 100)
);

CREATE TABLE purchases (
    id          UUID        PRIMARY KEY REFERENCES credits,
    viewer      TEXT        COLLATE "C" NOT NULL,
    package     TEXT        COLLATE "C" NOT NULL CHECK (char_length(package) BETWEEN 1 AND 100),
    coins       BIGINT      NOT NULL CHECK (coins BETWEEN 1 AND 9007199254740991),
    bonus_coins BIGINT      NOT NULL CHECK (bonus_coins BETWEEN 0 AND 9007199254740991),
    price_minor BIGINT      NOT NULL CHECK (price_minor BETWEEN 1 AND 9007199254740991),
    currency    TEXT        COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    country     TEXT        COLLATE "C" CHECK (country ~ '^[A-Z]{2}$'),
    platform    TEXT        COLLATE "C" NOT NULL CHECK (char_length(platform) BETWEEN 1 AND 40),
    promotion   TEXT        COLLATE "C" CHECK (char_length(promotion) BETWEEN 1 AND 100),
    rail        TEXT        COLLATE "C" NOT NULL CHECK (rail ~ '^[a-z][a-z0-9_]{0,39}$'),
    state       TEXT        COLLATE "C" NOT NULL DEFAULT 'pending'
                CHECK (state IN ('pending', 'paid', 'credited', 'declined', 'expired')),
    -- Where the viewer pays, in the rail's words; NULL until the rail has answered.
    checkout    TEXT        CHECK (char_length(checkout) BETWEEN 1 AND 4096),
    made_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
    changed_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX purchases_viewer ON purchases (viewer, id);
CREATE INDEX purchases_bought ON purchases (viewer) WHERE state IN ('paid', 'credited');
CREATE INDEX purchases_pending ON purchases (made_at) WHERE state = 'pending';

-- Every event of a rail whose signature was right, once. What could not be used is kept for the operator to see.
CREATE TABLE rail_events (
    rail         TEXT        COLLATE "C" NOT NULL,
    event        TEXT        COLLATE "C" NOT NULL CHECK (char_length(event) BETWEEN 1 AND 200),
    purchase     UUID        NOT NULL,
    outcome      TEXT        COLLATE "C" NOT NULL CHECK (outcome IN ('paid', 'declined', 'expired')),
    amount_minor BIGINT      NOT NULL,
    currency     TEXT        COLLATE "C" NOT NULL,
    effect       TEXT        COLLATE "C" NOT NULL
                 CHECK (effect IN ('applied', 'no_change', 'wrong_amount', 'unknown_purchase')),
    heard_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (rail, event)
);

CREATE INDEX rail_events_purchase ON rail_events (purchase);

CREATE TABLE payout_methods (
    id      UUID        PRIMARY KEY,
    creator TEXT        COLLATE "C" NOT NULL REFERENCES creators,
    kind    TEXT        COLLATE "C" NOT NULL CHECK (kind ~ '^[a-z][a-z0-9_]{0,39}$'),
    label   TEXT        NOT NULL CHECK (char_length(label) BETWEEN 1 AND 100),
    details BYTEA       NOT NULL CHECK (octet_length(details) <= 4096),
    made_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (id, creator)
);

CREATE INDEX payout_methods_creator ON payout_methods (creator, id);

CREATE TABLE withdrawals (
    id                 UUID        PRIMARY KEY,
    creator            TEXT        COLLATE "C" NOT NULL,
    method             UUID        NOT NULL,
    -- What the creator asked for; what is over a whole minor unit stays with the creator.
    asked_diamonds     BIGINT      NOT NULL,
    diamonds           BIGINT      NOT NULL,
    diamonds_per_minor INTEGER     NOT NULL CHECK (diamonds_per_minor > 0),
    amount_minor       BIGINT      NOT NULL CHECK (amount_minor BETWEEN 1 AND 9007199254740991),
    currency           TEXT        COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    state              TEXT        COLLATE "C" NOT NULL CHECK (state IN
                       ('requested', 'review', 'approved', 'sent', 'paid', 'failed', 'returned', 'rejected')),
    requested_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    changed_at         TIMESTAMPTZ NOT NULL DEFAULT now(),
    FOREIGN KEY (method, creator) REFERENCES payout_methods (id, creator),
    CHECK (diamonds = amount_minor * diamonds_per_minor),
    CHECK (asked_diamonds - diamonds BETWEEN 0 AND diamonds_per_minor - 1)
);

CREATE INDEX withdrawals_creator ON withdrawals (creator, id);
CREATE INDEX withdrawals_state ON withdrawals (state, id);

-- Who moved a withdrawal, when and why. Only ever added to; the last one is the withdrawal's state.
CREATE TABLE withdrawal_steps (
    withdrawal UUID        NOT NULL REFERENCES withdrawals,
    number     SMALLINT    NOT NULL CHECK (number > 0),
    from_state TEXT        COLLATE "C",
    to_state   TEXT        COLLATE "C" NOT NULL,
    at         TIMESTAMPTZ NOT NULL DEFAULT now(),
    step_by    TEXT        COLLATE "C" NOT NULL CHECK (char_length(step_by) BETWEEN 1 AND 100),
    note       TEXT        NOT NULL CHECK (char_length(note) <= 1000),
    PRIMARY KEY (withdrawal, number),
    CHECK ((number = 1) = (from_state IS NULL)),
    CHECK (coalesce(from_state, '') || '>' || to_state IN (
        '>requested',
        'requested>review', 'requested>rejected',
        'review>approved', 'review>rejected',
        'approved>sent', 'approved>rejected',
        'sent>paid', 'sent>failed', 'sent>returned',
        'paid>returned'
    ))
);

-- A record of the books' own partition has no viewer, and NULLs are all different: this keeps each payout step single.
CREATE UNIQUE INDEX journal_records_books_id ON journal_records (id, kind) WHERE partition = -1;
