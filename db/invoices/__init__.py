"""Invoices of paid purchases and credit notes of what went back: their numbers have no gap."""
