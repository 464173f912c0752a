"""Bookings: their states, and the SQL that reads and writes them, with row types and decoders beside each statement.

`events`, `seats`, `holds`, `purchases` and `outcomes` have the SQL of the hot path: what one batch reads, locks and
writes, each statement once for the whole batch.

* Every statement names ``event_id``, so that it stays on one shard where the schema is distributed.
* Rows travel as one JSON parameter and meet the tables through ``json_to_recordset``: encoding them takes a fraction
  of what arrays of text cost on the client.
* Where a table is filtered besides, ``OFFSET 0`` keeps the filter behind the rows that were named. A planner that
  knows nothing of a table yet, as when a sale begins, thinks that hardly a row passes, and would read the whole index
  for each batch.
* Bounds on time are ``statement_timestamp()`` where an index is to find the rows. It is stable; ``clock_timestamp()``
  is not, and would be compared with every row.
"""
