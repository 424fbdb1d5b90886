-- Journal records and entries in volumes: tables of so many record numbers of every partition, each with indexes of its
-- own. What was written before is the first volume and stays where it is. Records of the books' own partition (-1) come
-- seldom and are never old; they have a table beside the volumes.

CREATE TABLE volumes (
    number    INTEGER     PRIMARY KEY CHECK (number > 0),
    first_seq BIGINT      NOT NULL UNIQUE CHECK (first_seq > 0),
    -- The first record of the next volume.
    end_seq   BIGINT      NOT NULL UNIQUE CHECK (end_seq > first_seq),
    made_at   TIMESTAMPTZ NOT NULL DEFAULT now()
);
INSERT INTO volumes (number, first_seq, end_seq)
SELECT 1, 1, (coalesce(max(seq), 0) / 4194304 + 1) * 4194304 + 1 FROM positions WHERE partition >= 0;

DROP INDEX journal_records_books_id;
ALTER TABLE journal_records RENAME TO journal_records_v1;
ALTER INDEX journal_records_pkey RENAME TO journal_records_v1_pkey;
ALTER INDEX journal_records_id RENAME TO journal_records_v1_id;
ALTER INDEX journal_records_reversals RENAME TO journal_records_v1_reversals;
ALTER INDEX journal_records_holds RENAME TO journal_records_v1_holds;
ALTER INDEX journal_records_hold_ends RENAME TO journal_records_v1_hold_ends;
ALTER INDEX journal_records_holds_in_order RENAME TO journal_records_v1_holds_in_order;
ALTER TABLE journal_records_v1 VALIDATE CONSTRAINT journal_records_taken;
CREATE TABLE journal_records (
    LIKE journal_records_v1 INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    PRIMARY KEY (partition, seq)
) PARTITION BY LIST (partition);
CREATE TABLE journal_records_own PARTITION OF journal_records FOR VALUES IN (-1);
CREATE TABLE journal_records_volumes PARTITION OF journal_records DEFAULT PARTITION BY RANGE (seq);
CREATE INDEX journal_records_reversals ON journal_records (viewer, seq) WHERE kind IN ('refund', 'chargeback');
CREATE INDEX journal_records_holds ON journal_records (viewer, seq) WHERE kind = 'hold';
CREATE INDEX journal_records_hold_ends ON journal_records (viewer, seq) WHERE kind = 'hold_ended';
CREATE INDEX journal_records_holds_in_order ON journal_records (partition, seq) WHERE kind = 'hold';
-- An id is unique in each volume, and across them by the flusher. A record of the books has no viewer.
CREATE UNIQUE INDEX journal_records_own_id ON journal_records_own (id, kind);
INSERT INTO journal_records_own SELECT * FROM journal_records_v1 WHERE partition = -1;
DELETE FROM journal_records_v1 WHERE partition = -1;

ALTER TABLE entries RENAME TO entries_v1;
ALTER INDEX entries_pkey RENAME TO entries_v1_pkey;
CREATE TABLE entries (LIKE entries_v1 INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY LIST (partition);
CREATE TABLE entries_own PARTITION OF entries (PRIMARY KEY (account_id, number)) FOR VALUES IN (-1);
CREATE TABLE entries_volumes PARTITION OF entries DEFAULT PARTITION BY RANGE (seq);
INSERT INTO entries_own SELECT * FROM entries_v1 WHERE partition = -1;
DELETE FROM entries_v1 WHERE partition = -1;

DO $$
DECLARE
    bounds TEXT := (SELECT format('FROM (%s) TO (%s)', first_seq, end_seq) FROM volumes WHERE number = 1);
BEGIN
    EXECUTE 'ALTER TABLE journal_records_volumes ATTACH PARTITION journal_records_v1 FOR VALUES ' || bounds;
    EXECUTE 'ALTER TABLE entries_volumes ATTACH PARTITION entries_v1 FOR VALUES ' || bounds;
END $$;
