-- A refund whose lots contradict the books is set apart until somebody has looked; the others go on.

ALTER TABLE refunds
    ADD COLUMN set_apart_at  TIMESTAMPTZ,
    ADD COLUMN set_apart_why TEXT CHECK (char_length(set_apart_why) BETWEEN 1 AND 1000),
    -- Who settled it by hand, and why; NULL where the duty did.
    ADD COLUMN settled_by    TEXT COLLATE "C" CHECK (char_length(settled_by) BETWEEN 1 AND 100),
    ADD COLUMN settled_note  TEXT CHECK (char_length(settled_note) <= 1000);
ALTER TABLE refunds ADD CONSTRAINT refunds_set_apart_open
    CHECK ((set_apart_at IS NULL) = (set_apart_why IS NULL) AND (set_apart_at IS NULL OR state IN ('owed', 'taken')));
ALTER TABLE refunds ADD CONSTRAINT refunds_by_hand
    CHECK ((settled_by IS NULL) = (settled_note IS NULL) AND (settled_by IS NULL OR state = 'settled'));

DROP INDEX refunds_open;
CREATE INDEX refunds_open ON refunds (made_at, id) WHERE state IN ('owed', 'taken') AND set_apart_at IS NULL;
CREATE INDEX refunds_set_apart ON refunds (id) WHERE set_apart_at IS NOT NULL;
