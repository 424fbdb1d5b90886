"""What is to happen: scenarios, names, arrivals and who plays whom."""
