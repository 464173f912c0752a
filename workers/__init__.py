"""RQ workers: the booking engine, housekeeping and their processes. The only writers of bookings."""
