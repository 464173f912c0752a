"""Shops beside ours before which a room stands."""
