"""What a run found: for people, for machines, and beside another."""
