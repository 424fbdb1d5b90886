"""The embedded servers: Valkey and PostgreSQL from their wheels."""
