"""Which lane each event's bookings go to, as operators set it."""
