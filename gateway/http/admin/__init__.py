"""What an operator asks: everything under /v1/admin."""
