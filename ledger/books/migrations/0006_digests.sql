-- What tells two orders with one gift id apart, so that a live ledger that was lost can remember ids again.

ALTER TABLE journal_records ADD COLUMN digest BYTEA;
