"""News for the outside: what kinds there are, how they are written down, and how they are delivered."""
