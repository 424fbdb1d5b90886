"""Coins that come in: bought or granted, each once."""
