"""What was said and heard, in columns, and the times in it."""
