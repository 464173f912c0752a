"""The site's signing keys, sealed."""
