"""Bookings: the hot path's SQL, holds, reads."""
