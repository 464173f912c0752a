"""The audit: the invariants, and the ledger of the answers that clients got."""
