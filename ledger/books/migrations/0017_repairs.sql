-- Every repair of the live ledger by its epoch. Positions cannot tell the next one: of an epoch in which nothing reached
-- the books there is no record, and clients know of it all the same.

CREATE TABLE repairs (
    epoch    INTEGER     PRIMARY KEY CHECK (epoch > 1),
    begun_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
