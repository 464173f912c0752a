"""Events, their ticket types and seats."""
