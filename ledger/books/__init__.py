"""The books in PostgreSQL: how the journal is written into them, by whom, and how they are kept."""
