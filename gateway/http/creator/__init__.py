"""What a creator asks: earnings, withdrawals, overlays and its own rooms."""
