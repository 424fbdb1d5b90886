"""Who may give how much: persons, ages, limits and plans, as the books know them."""
