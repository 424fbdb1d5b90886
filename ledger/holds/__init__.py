"""What is put aside for a while: holds of others' orders, and gifts that can be undone."""
