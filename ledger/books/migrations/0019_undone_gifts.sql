-- Gifts that may be undone: the way from a viewer to how they ended, and those of a partition that were held.

CREATE INDEX journal_records_gift_ends ON journal_records (viewer, seq) WHERE kind IN ('gift_settled', 'gift_undone');
CREATE INDEX journal_records_gifts_held ON journal_records (partition, seq) WHERE kind = 'gift_held';

-- No record from before is of these kinds, so none has to be looked at.
ALTER TABLE journal_records ADD CONSTRAINT journal_records_held_gifts CHECK (
    kind NOT IN ('gift_held', 'gift_settled', 'gift_undone')
    OR (creator_diamonds + commission_diamonds = coins * 100 AND combo_key = '' AND combo_id IS NULL
        AND (kind = 'gift_held') = (combo_window_ms > 0))
) NOT VALID;
