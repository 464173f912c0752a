"""The booking lane: commands, the batches in which RQ carries them to a worker, and the outcomes that come back.

The gateway submits each `commands.Command` to a `coalescer.Coalescer`, which gathers commands into batches. A
`lane.Lane` makes one RQ job of each batch. The worker answers through `results.publish`, and `waiters.Waiters` wakes
the requests that wait for the outcomes.
"""
