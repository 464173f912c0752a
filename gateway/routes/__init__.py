"""Routes, one module a part of the contract."""
