"""Whether the rooms were told what was paid, and what is mended when not."""
