"""The money half of Giftwire: wallets, earnings, the journal and the books. Knows nothing of rooms or sockets."""
