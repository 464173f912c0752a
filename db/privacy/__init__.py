"""A fan's own data: who a fan is, by number or address, the export, and the erasure (docs/privacy.md)."""
