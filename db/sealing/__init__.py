"""What a dump of the database must not show: fields that are encrypted, and the keys that open them."""
