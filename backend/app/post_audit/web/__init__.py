"""The HTTP side: FastAPI routes on port 8000, one module of routes for each step that has some."""
