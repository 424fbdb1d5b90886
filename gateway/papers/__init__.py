"""The protocol as documents for machines."""
