"""The gateway: routes, pages, streams and the guards before them. It reads bookings and never writes one."""
