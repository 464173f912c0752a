"""Benchmarks, each against a reference in the same run: ``python -m bench --help``."""
