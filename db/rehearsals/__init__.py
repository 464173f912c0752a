"""Copies of events for rehearsals."""
