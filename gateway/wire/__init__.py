"""HTTP and SSE as every route speaks them; it knows no domain."""
