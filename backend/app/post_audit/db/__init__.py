"""Transports to PostgreSQL, the embedded server, and the migration."""
