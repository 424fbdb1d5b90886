"""What a viewer asks: the wallet, purchases and gifts."""
