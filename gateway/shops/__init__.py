"""Rooms before somebody else's shop: the check of passes, and the way there and back."""
