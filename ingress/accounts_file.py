"""Where the accounts come from: the settings, and a YAML file that may change while the process runs.

Guarantees: either all of a file counts or nothing of it: one that cannot be used is logged and counted, and
the accounts from before stay, so that a slip of the pen refuses no webhook. A file that others can read may
hold no token, unless local. Errors and logs hold no secret.
Leaves to others: what is written in the file (`ingress.account_entries`), and to call `refresh` about once a
second in a thread, as it reads a file.

A rotation: add the next token (`auth_token_next`); let Twilio promote it; then make it the only one. An
account that the file names is taken from the file alone, so that the one in the settings can be rotated too.
Replace the file by renaming another over it: then nobody reads half of it.
"""

import os
import stat
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import structlog

from ingress.account_entries import SETTING, Source, parse_entries
from ingress.accounts import Account, Accounts
from ingress.config import IngressConfig
from ingress.errors import ConfigError

log = structlog.get_logger("ingress")

# Some 50,000 accounts.
LARGEST_FILE = 16 * 1024 * 1024


class Refreshed(StrEnum):
    """What a look at the file led to."""

    UNCHANGED = "unchanged"
    REPLACED = "replaced"
    REFUSED = "refused"


class AccountsFile:
    """The accounts of one process. Raises ConfigError when they cannot be used at the start.

    `accounts` is replaced as a whole: keep it for as long as one request takes, not longer. `refused` counts
    the files that were not taken. For one caller of `refresh` at a time; `accounts` may be read by any.
    """

    __slots__ = ("_complaint", "_config", "_environment", "_seen", "accounts", "refused")

    def __init__(self, config: IngressConfig, environment: Mapping[str, str] = os.environ) -> None:
        self._config = config
        self._environment = environment
        self._seen: tuple[int, ...] | None = None
        self._complaint: str | None = None
        self.refused = 0
        self.accounts = self._load()

    def refresh(self) -> Refreshed:
        """Take the file's accounts when it changed since the last look. Never raises for what is in it."""
        path = self._config.accounts_file
        if path is None:
            return Refreshed.UNCHANGED
        try:
            unchanged = self._seen == _identity(_looked_at(path))
            accounts = self.accounts if unchanged else self._load()
        except ConfigError as wrong:
            return self._refuse(str(wrong))
        self._complaint = None
        if unchanged:
            return Refreshed.UNCHANGED
        self.accounts = accounts
        log.info("accounts.replaced", file=str(path), accounts=len(accounts.by_sid))
        return Refreshed.REPLACED

    def _refuse(self, complaint: str) -> Refreshed:
        # A file that is missing is missing at every look: one line and one count until something changes.
        if complaint == self._complaint:
            return Refreshed.UNCHANGED
        self._complaint = complaint
        self.refused += 1
        log.error("accounts.refused", detail=complaint, kept=len(self.accounts.by_sid))
        return Refreshed.REFUSED

    def _load(self) -> Accounts:
        config = self._config
        found = [
            Account(sid=sid, tokens=tokens, public_base_urls=(config.public_base_url,))
            for sid, tokens in config.tokens.items()
        ]
        if config.accounts_file is not None:
            found += self._of_file(config.accounts_file)
        if not found:
            raise ConfigError(
                f"{SETTING} {config.accounts_file} names no account and the settings have none, so no "
                "webhook could be verified; add one to the file, or set TWILIO_ACCOUNT_SID and "
                "TWILIO_AUTH_TOKEN."
            )
        return Accounts.of(found)

    def _of_file(self, path: Path) -> tuple[Account, ...]:
        config = self._config
        looked_at, content = _read(path)
        # Remembered before it is understood: what cannot be used is read again only when it changes.
        self._seen = _identity(looked_at)
        source = Source(str(path), config.public_base_url, self._environment, config.local)
        entries = parse_entries(content, source)
        if entries.holds_tokens and looked_at.st_mode & 0o077 and not config.local:
            raise ConfigError(
                f"{SETTING} {path} holds auth tokens and others may read it (mode "
                f"{stat.S_IMODE(looked_at.st_mode):04o}); run chmod 600 on it, or name environment variables "
                "with auth_token_env."
            )
        return entries.accounts


def _identity(looked_at: os.stat_result) -> tuple[int, ...]:
    """What tells this content of the file from any other; the change of its mode counts as one."""
    return looked_at.st_dev, looked_at.st_ino, looked_at.st_size, looked_at.st_mtime_ns, looked_at.st_ctime_ns


def _looked_at(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as wrong:
        raise _unreadable(path, wrong) from wrong


def _read(path: Path) -> tuple[os.stat_result, bytes]:
    try:
        # O_NONBLOCK: a pipe in its place would hold the process up.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
            looked_at = os.fstat(opened.fileno())
            content = opened.read(LARGEST_FILE + 1) if stat.S_ISREG(looked_at.st_mode) else None
    except OSError as wrong:
        raise _unreadable(path, wrong) from wrong
    if content is None or len(content) > LARGEST_FILE:
        raise ConfigError(
            f"{SETTING} {path} is no file, or larger than {LARGEST_FILE} bytes; name a YAML file with the "
            "accounts."
        )
    return looked_at, content


def _unreadable(path: Path, wrong: OSError) -> ConfigError:
    return ConfigError(
        f"{SETTING} {path} cannot be read ({wrong.strerror}); name a file that this process's user may read."
    )
