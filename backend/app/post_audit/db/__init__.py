"""The ways to the database: PostgreSQL itself, Supabase over REST, and the embedded server."""
