"""Which coins paid for which gift, and what the books say of an account at any time."""
