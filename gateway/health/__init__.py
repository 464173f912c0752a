"""What one gateway process says of itself: health, readiness, metrics."""
