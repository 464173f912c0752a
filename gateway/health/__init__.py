"""The health, readiness, presence and metrics of one gateway process."""
