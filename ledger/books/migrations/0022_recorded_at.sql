-- When the books came to have a record, beside `at`, when it took effect: moments later, or hours after an outage of the
-- books. By the clock of this server. NULL on records from before, of which nobody knows.
ALTER TABLE journal_records ADD COLUMN recorded_at TIMESTAMPTZ;
-- Of the statement, not the transaction: the position's lock is held by then, so times of a partition follow its records.
ALTER TABLE journal_records ALTER COLUMN recorded_at SET DEFAULT statement_timestamp();

-- What is held, or given so that it may be undone, the wallet had: as with gifts that are paid at once. (A settlement may
-- find a wallet that owes by then.)
ALTER TABLE journal_records ADD CONSTRAINT journal_records_wallets_held
    CHECK (kind NOT IN ('gift_held', 'hold') OR wallet_after >= 0) NOT VALID;
