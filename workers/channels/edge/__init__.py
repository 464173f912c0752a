"""The channel that tells the cache in front of the site what it must forget."""
