"""What is done when the live ledger and the books differ."""
