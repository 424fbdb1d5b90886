"""Who is let in and how fast, by address and by account: limits beside those of the whole process."""
