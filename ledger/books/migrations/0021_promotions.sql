-- A repair may begin while workers run: after a failover they cannot reach the live ledger before it is over. What one of
-- them has read from the former server and not written yet must not reach the books any more, so each repair makes every
-- position another one.

ALTER TABLE positions ADD COLUMN repairs INTEGER NOT NULL DEFAULT 0 CHECK (repairs >= 0);

-- Who holds leases for a repair, and not for a worker's duties.
ALTER TABLE workers ADD COLUMN repairs BOOLEAN NOT NULL DEFAULT false;
