"""Accounts of fans: sign-in by password or by an issuer of OpenID Connect, and what moves into an account."""
