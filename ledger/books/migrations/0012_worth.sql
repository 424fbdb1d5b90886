-- Coins that are worth less to creators than paid ones: bonus coins of a purchase, and grants.

-- What one of its coins that were not paid for is worth, in basis points of a paid one; NULL for as much. Never changed.
ALTER TABLE credits ADD COLUMN worth_bp INTEGER CHECK (worth_bp BETWEEN 0 AND 9999);
CREATE INDEX credits_worth ON credits (viewer) WHERE worth_bp IS NOT NULL;
-- What the order said of it; NULL for the deployment's own of that moment.
ALTER TABLE purchases ADD COLUMN bonus_worth_bp INTEGER CHECK (bonus_worth_bp BETWEEN 0 AND 10000);
ALTER TABLE grants ADD COLUMN worth_bp INTEGER CHECK (worth_bp BETWEEN 0 AND 10000);

-- For viewers who have or had such coins: their lots with coins left, after record seq of their partition. Kept in step
-- with the records while `discounted`, that is while coins that are worth less are left; else from where to walk on.
CREATE TABLE open_lots (
    viewer     TEXT    COLLATE "C" PRIMARY KEY,
    seq        BIGINT  NOT NULL CHECK (seq > 0),
    debt_coins BIGINT  NOT NULL CHECK (debt_coins >= 0),
    discounted BOOLEAN NOT NULL,
    lots       JSONB   NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX open_lots_discounted ON open_lots (viewer) WHERE discounted;

-- By how much a gift is worth less, since such coins paid for it or a part of it.
CREATE TABLE gift_discounts (
    partition        SMALLINT NOT NULL,
    seq              BIGINT   NOT NULL,
    coins            BIGINT   NOT NULL CHECK (coins > 0),
    creator_diamonds BIGINT   NOT NULL CHECK (creator_diamonds >= 0),
    agency_diamonds  BIGINT   NOT NULL CHECK (agency_diamonds >= 0),
    creator          TEXT     COLLATE "C" NOT NULL,
    PRIMARY KEY (partition, seq),
    CHECK (creator_diamonds + agency_diamonds > 0)
);

-- What that made of a day; `earned` is without it.
ALTER TABLE creator_days ADD COLUMN discounted BIGINT NOT NULL DEFAULT 0 CHECK (discounted >= 0);
