"""The live ledger: what is paid, held and undone on Redis or Valkey, by scripts, and the journal that they write."""
