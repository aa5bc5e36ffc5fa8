"""Benchmarks: ratios against a stated baseline of the same run. Not installed, not run by the tests."""
