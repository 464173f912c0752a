"""The bodies and answers of the public contract, one module for each domain."""
