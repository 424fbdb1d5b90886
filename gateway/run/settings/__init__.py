"""What an operator may set, where it comes from, and the page that says so."""
