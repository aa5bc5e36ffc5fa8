"""The demo: a seeded day of a notification platform, run through the whole pipeline, and judged afterwards.

`plan` says what will be asked for, `run` does it and waits, `verdict` compares what the pipeline says with
what the simulator's ledger knows, and `proof` what the reports say, by `reckoning`.
"""
