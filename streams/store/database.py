"""RocksDB in one directory of one process: keys and values are bytes, a batch is written whole or not at all.

Guarantees: a directory in use by another process is left alone; one that cannot be read is emptied, with one
line in the log, because all that is in it can be read again from the changelog. Writes are not synced to the
disk: a process that dies loses none (the kernel has them), a machine that dies loses the latest whole batches
and is then behind the changelog, never ahead.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import structlog
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
)

from streams.store.errors import StoreBroken, StoreError, StoreInUse

log = structlog.get_logger(__name__)

_FORMAT = "rows-1"
_BROKEN = "broken"
_MB = 1 << 20
# A full disk or a missing permission is no reason to throw rows away.
_SIGNS_OF_DAMAGE = ("Corruption", "No such file", "Invalid argument")


class Database:
    """Open from its construction to `close`. Reads and writes from any thread.

    Raises StoreInUse at the construction, or StoreError when it cannot be opened for want of space or rights;
    StoreBroken later.
    """

    def __init__(self, directory: Path, cache_mb: int = 64) -> None:
        self._path = directory / _FORMAT
        self._mark = directory / _BROKEN
        self._cache_mb = cache_mb
        directory.mkdir(parents=True, exist_ok=True)
        if self._mark.exists():
            self._empty(f"it was found broken before: {self._mark.read_text()}")
        try:
            self._db = self._open()
        except Exception as unusable:  # rocksdict raises a bare Exception for whatever RocksDB says
            if "/LOCK" in str(unusable):
                raise StoreInUse(
                    f"{self._path} is used by another process: end it, or give this one its own FAUST_DATADIR"
                ) from unusable
            if not any(sign in str(unusable) for sign in _SIGNS_OF_DAMAGE):
                raise StoreError(f"{self._path} cannot be opened: {unusable}") from unusable
            self._empty(str(unusable))
            self._db = self._open()

    def get(self, key: bytes) -> bytes | None:
        try:
            found: bytes | None = self._db.get(key)
        except Exception as broken:
            raise self._failed(broken) from broken
        return found

    def write(self, batch: WriteBatch) -> None:
        try:
            self._db.write(batch)
        except Exception as broken:
            raise self._failed(broken) from broken

    def keys(self, start: bytes, end: bytes) -> Iterator[bytes]:
        """The keys from `start` to before `end`, in their order, as they are now."""
        yield from (key for key, _ in self._scan(start, end, values=False))

    def items(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys with their values, as `keys`."""
        yield from self._scan(start, end, values=True)

    def delete_range(self, start: bytes, end: bytes) -> None:
        """One mark in the log, however many keys there are."""
        try:
            self._db.delete_range(start, end)
        except Exception as broken:
            raise self._failed(broken) from broken

    def close(self) -> None:
        self._db.close()

    def _scan(self, start: bytes, end: bytes, *, values: bool) -> Iterator[tuple[bytes, bytes]]:
        options = ReadOptions()
        options.set_iterate_upper_bound(end)
        try:
            found = self._db.iter(options)
            found.seek(start)
            while found.valid():
                yield found.key(), found.value() if values else b""
                found.next()
            found.status()  # an iterator also ends where it cannot read on
        except Exception as broken:
            raise self._failed(broken) from broken

    def _failed(self, why: Exception) -> StoreBroken:
        self._mark.write_text(str(why)[:500])
        return StoreBroken(f"{self._path}: {why}; the next start rebuilds it from the changelog")

    def _empty(self, why: str) -> None:
        log.warning("store is rebuilt from the changelog", path=str(self._path), why=why[:300])
        shutil.rmtree(self._path, ignore_errors=True)
        self._mark.unlink(missing_ok=True)

    def _open(self) -> Rdict:
        tables = BlockBasedOptions()
        tables.set_block_cache(Cache(self._cache_mb * _MB))
        tables.set_bloom_filter(10, False)
        # Otherwise index and filters of all files are in memory beside the cache, without a bound.
        tables.set_cache_index_and_filter_blocks(True)
        tables.set_pin_l0_filter_and_index_blocks_in_cache(True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(tables)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_write_buffer_size(16 * _MB)
        options.set_max_write_buffer_number(3)
        options.set_max_background_jobs(2)
        options.set_max_open_files(256)
        options.set_keep_log_file_num(2)
        options.set_max_total_wal_size(64 * _MB)
        # What a kill leaves half written at the end of the log is dropped, and nothing else is forgiven.
        options.set_wal_recovery_mode(DBRecoveryMode.tolerate_corrupted_tail_records())
        return Rdict(str(self._path), options)
