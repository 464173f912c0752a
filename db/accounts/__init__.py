"""Accounts of fans: addresses and passwords, sessions, identities at other issuers, and the fans of before."""
