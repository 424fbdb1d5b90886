"""What an agency asks: what it was given, and its withdrawals."""
