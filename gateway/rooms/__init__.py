"""Rooms beyond one process: told by the relay, heard through the channels, kept in histories, shown by ticks."""
