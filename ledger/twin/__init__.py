"""The live ledger in memory, by the same rules, for tests."""
