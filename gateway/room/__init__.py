"""The core of a room: what it has heard and what its viewers are shown. Values in, values out; no I/O, no clock."""
