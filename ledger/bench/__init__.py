"""What the ledger and its books do in a second, each beside a reference that is taken in the same run."""
