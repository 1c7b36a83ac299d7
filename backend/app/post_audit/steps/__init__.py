"""The six steps; `app.post_audit.compose` lists them in the order they run."""
