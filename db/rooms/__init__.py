"""Rooms as their operators set them."""
