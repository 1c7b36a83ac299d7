"""The documents of docs/reference: one module makes each, `tools/reference.py` writes them."""
