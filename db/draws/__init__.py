"""Draws of lobbies."""
