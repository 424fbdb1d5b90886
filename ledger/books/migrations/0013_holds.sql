-- Holds: the way from a viewer to holds and their ends, and the holds of a partition.

CREATE INDEX journal_records_holds ON journal_records (viewer, seq) WHERE kind = 'hold';
CREATE INDEX journal_records_hold_ends ON journal_records (viewer, seq) WHERE kind = 'hold_ended';
CREATE INDEX journal_records_holds_in_order ON journal_records (partition, seq) WHERE kind = 'hold';
