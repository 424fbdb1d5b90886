"""Money that goes back, what it takes with it, and what comes back again."""
