"""The invariants, and the ledger of what clients were told."""
