"""The public contract's bodies and answers, a module a domain."""
