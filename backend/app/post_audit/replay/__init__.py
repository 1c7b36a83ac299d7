"""Replays and simulations: the steps' own functions over a file of history or over invented traffic.

Users run these before they let a step act; the benches print the same numbers.
"""
