"""What processes count, and how a scrape is told of all of them."""
