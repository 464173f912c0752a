"""Payments: what fans owe and paid through a provider, and what is paid back."""
