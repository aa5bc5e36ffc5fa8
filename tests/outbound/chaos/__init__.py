"""Twenty thousand commands through processes that are killed, frozen and moved, at the worst of providers.

`python -m tests.outbound.chaos`, or `make chaos-outbound`. `plan` says what is commanded and by whom it is
forbidden, `outside` writes it and the evidence that callbacks bring; `run` kills, freezes and moves the
processes, `run` says when; `verdict` holds what was told of each command against the simulator's own ledger,
never against the sink's books.
"""
