"""The public protocol, version 1: message shapes, codes and their encodings. Imports nothing of ours, does no I/O."""
