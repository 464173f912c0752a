"""The operators: their accounts, roles, sessions, tokens for scripts, and second factors."""
