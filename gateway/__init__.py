"""The front door: routes, pages, streams and who may use them. Reads bookings, never writes one."""
