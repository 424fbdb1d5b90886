"""What anyone may ask: health, the catalogue, rooms; and the webhooks of payment providers, which are signed."""
