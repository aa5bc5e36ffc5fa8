"""Twenty thousand notifications through processes that are killed, a broker that stands still, a rebalance.

`python -m tests.streams.chaos`, or `make chaos-streams`. `plan` says what happens outside and `outside`
makes it happen; `run` says when which process is killed; `verdict` tells from Kafka alone, by
`replay`, whether what was written is what the pure functions say.
"""
