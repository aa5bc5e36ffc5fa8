"""The rows on the local disk: a cache of the changelog, which stays the truth.

`partition` says what is written when and what a crash leaves behind; `database` is RocksDB and nothing else;
`recovery` brings a partition up to the changelog; `rows` is how a row becomes bytes.
"""
