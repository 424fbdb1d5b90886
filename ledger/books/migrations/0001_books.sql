-- The books: accounts, journal records, their entries, and how far the journal of each partition has been written.
--
-- Amounts are BIGINT and at most 2^53-1, times are TIMESTAMPTZ. Names compare by bytes (COLLATE "C").
-- Rows of journal_records and entries are only ever added.

CREATE TABLE accounts (
    id        BIGINT   GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind      TEXT     COLLATE "C" NOT NULL,
    owner     TEXT     COLLATE "C" NOT NULL,
    unit      TEXT     COLLATE "C" NOT NULL,
    -- The partition whose journal alone moves this account, or -1 when the books or several partitions do.
    partition SMALLINT NOT NULL CHECK (partition >= -1),
    UNIQUE (owner, kind, unit, partition),
    CHECK (unit IN ('coins', 'diamonds') OR unit ~ '^[A-Z]{3}$')
);

-- The row is locked for as long as somebody writes records of the partition; -1 is the books' own.
CREATE TABLE positions (
    partition SMALLINT    PRIMARY KEY CHECK (partition >= -1),
    epoch     INTEGER     NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    seq       BIGINT      NOT NULL DEFAULT 0 CHECK (seq >= 0),
    at        TIMESTAMPTZ NOT NULL DEFAULT now()
);

INSERT INTO positions (partition) VALUES (-1);

-- Columns stand in the order of their alignment: it saves 20 bytes a row.
CREATE TABLE journal_records (
    seq                 BIGINT      NOT NULL CHECK (seq > 0),
    at                  TIMESTAMPTZ NOT NULL,
    coins               BIGINT      NOT NULL DEFAULT 0 CHECK (coins BETWEEN 0 AND 9007199254740991),
    wallet_after        BIGINT,
    unit_coins          BIGINT,
    creator_diamonds    BIGINT      NOT NULL DEFAULT 0 CHECK (creator_diamonds >= 0),
    commission_diamonds BIGINT      NOT NULL DEFAULT 0 CHECK (commission_diamonds >= 0),
    combo_coins         BIGINT,
    epoch               INTEGER     NOT NULL,
    count               INTEGER,
    combo_count         INTEGER,
    combo_window_ms     INTEGER,
    partition           SMALLINT    NOT NULL,
    id                  UUID        NOT NULL,
    combo_id            UUID,
    kind                TEXT        COLLATE "C" NOT NULL,
    viewer              TEXT        COLLATE "C",
    creator             TEXT        COLLATE "C",
    place               TEXT        COLLATE "C",
    item                TEXT        COLLATE "C",
    combo_key           TEXT        COLLATE "C",
    reference           TEXT        COLLATE "C",
    details             BYTEA,
    PRIMARY KEY (partition, seq),
    CHECK (kind <> 'gift' OR (wallet_after >= 0 AND creator_diamonds + commission_diamonds = coins * 100))
);

-- An id charges or credits once, for ever. It begins with its time, so the index grows at one end.
CREATE UNIQUE INDEX journal_records_id ON journal_records (id, viewer, kind);

-- The entries of an account are numbered 1, 2, 3 …: the primary key is its statement, and the last one its balance.
CREATE TABLE entries (
    account_id    BIGINT   NOT NULL,
    number        BIGINT   NOT NULL CHECK (number > 0),
    seq           BIGINT   NOT NULL,
    amount        BIGINT   NOT NULL CHECK (amount <> 0),
    balance_after BIGINT   NOT NULL,
    partition     SMALLINT NOT NULL,
    PRIMARY KEY (account_id, number)
);

-- Balances of the accounts that several writers move (those of partition -1); the row is their lock.
CREATE TABLE balances (
    account_id BIGINT  PRIMARY KEY REFERENCES accounts,
    number     BIGINT  NOT NULL DEFAULT 0,
    balance    BIGINT  NOT NULL DEFAULT 0,
    may_owe    BOOLEAN NOT NULL,
    CHECK (may_owe OR balance >= 0)
) WITH (fillfactor = 50);

-- What a creator earned by gifts on a day (UTC), and how much of it has become available.
CREATE TABLE creator_days (
    creator TEXT   COLLATE "C" NOT NULL,
    day     DATE   NOT NULL,
    earned  BIGINT NOT NULL CHECK (earned >= 0),
    gifts   BIGINT NOT NULL CHECK (gifts >= 0),
    matured BIGINT NOT NULL DEFAULT 0 CHECK (matured BETWEEN 0 AND earned),
    PRIMARY KEY (creator, day)
);

CREATE INDEX creator_days_ripening ON creator_days (day) WHERE matured < earned;
