"""Browsers that are told of a fan's turn by web push."""
