"""Payment and payout providers, each behind the same interface."""
