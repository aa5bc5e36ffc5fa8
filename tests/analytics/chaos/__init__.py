"""Half a million mixed events through sinks that are killed and a database that goes away and comes back.

`python -m tests.analytics.chaos`, or `make chaos-analytics`. `plan` says what is written and `outside` writes
it; `run` kills, stops and joins, counted in rows landed; `lookups` tell carriers meanwhile; `recomputed`,
`views` and `hours` say what must then be in the database, worked out from the topics' records and those
look-ups alone; `judge` reads along and holds what is there against it, row by row (`verdict`).
Nothing of the sink is used to judge it but the hash that stands for a person.
"""
