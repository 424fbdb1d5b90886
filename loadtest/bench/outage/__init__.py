"""PostgreSQL away and back again, under gifts that go on: what is taken, what it costs, and that nothing is lost."""
