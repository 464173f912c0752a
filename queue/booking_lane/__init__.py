"""The booking lane: commands, their way to RQ in batches, and their outcomes back to whoever waits.

The gateway submits a `commands.Command` to a `coalescer.Coalescer`, which leaves as one RQ job a batch
(`lane.Lane`); the worker answers through `results.publish`, and `waiters.Waiters` wakes who waits.
"""
