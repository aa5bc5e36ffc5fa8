"""The text of an accounts file, turned into accounts.

Guarantees: pure; everything is checked, and an error names file, entry and field, and never a secret, not
even one written into the wrong field. Leaves to others: to read the file (`ingress.accounts_file`).

    - account_sid: AC…
      tenant: acme                               # optional; several accounts may have the same
      auth_token: …                              # or auth_token_env: the environment variable that has it
      auth_token_next: …                         # optional, or auth_token_next_env: during a rotation
      public_base_url: https://hooks.acme.example    # optional: PUBLIC_BASE_URL without
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import yaml

from ingress.accounts import Account
from ingress.config import check_account, check_public_url
from ingress.errors import ConfigError

SETTING = "TWILIO_ACCOUNTS_FILE"
LONGEST_TENANT = 255  # as `streams.intake` takes it

# `*` as a tenant means all of them (`ingress.events.SHARED`), so it is nobody's name.
_SHARED = "*"
# What is safe to show of a wrong entry: a token has digits, and no capital letter that is not one of A to F.
_FIELD_NAME = re.compile(r"[a-z_]{1,40}")
_VARIABLE = re.compile(r"(?=.*[G-Z_])[A-Z_][A-Z0-9_]{0,99}")


@dataclass(frozen=True, slots=True)
class Source:
    """What an accounts file is read with: `name` of the file, and the settings that go with it."""

    name: str
    public_base_url: str
    environment: Mapping[str, str]
    local: bool


@dataclass(frozen=True, slots=True)
class Entries:
    """`holds_tokens`: a token itself is in the file, not only the name of its environment variable."""

    accounts: tuple[Account, ...]
    holds_tokens: bool


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    account_sid: str
    tenant: str | None = None
    auth_token: str | None = None
    auth_token_env: str | None = None
    auth_token_next: str | None = None
    auth_token_next_env: str | None = None
    public_base_url: str | None = None


class _Loader(yaml.SafeLoader if not yaml.__with_libyaml__ else yaml.CSafeLoader):  # type: ignore[misc]
    """YAML without repeated names, of which the last would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        names = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
        if len(set(names)) < len(names):
            raise yaml.MarkedYAMLError(problem="a name is there twice", problem_mark=node.start_mark)
        found: dict[object, object] = super().construct_mapping(node, deep)
        return found


def parse_entries(content: bytes, source: Source) -> Entries:
    """All accounts of a file. Raises ConfigError when one of them cannot be used."""
    file = f"{SETTING} {source.name}"
    listed = _yaml(content, file)
    if not isinstance(listed, list):
        raise ConfigError(f"{file} is no list of accounts; write each as `- account_sid: AC…`.")
    entries = [_entry(raw, f"{file}, entry {number}") for number, raw in enumerate(listed, 1)]
    found: dict[str, Account] = {}
    for number, entry in enumerate(entries, 1):
        account = _account(entry, f"{file}, entry {number}", source)
        if account.sid in found:
            raise ConfigError(
                f"{file}, entry {number}: account_sid {account.sid} has an entry before; put a second token "
                "into auth_token_next of that one."
            )
        found[account.sid] = account
    holds_tokens = any(entry.auth_token or entry.auth_token_next for entry in entries)
    return Entries(tuple(found.values()), holds_tokens)


def _yaml(content: bytes, file: str) -> object:
    try:
        return yaml.load(content, Loader=_Loader)  # noqa: S506  # a safe loader
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as wrong:
        # Without the cause and its words: they quote the file.
        mark = wrong.problem_mark if isinstance(wrong, yaml.MarkedYAMLError) else None
        where = f", line {mark.line + 1}," if mark is not None else ""
        twice = " (a name is there twice)" if "twice" in str(getattr(wrong, "problem", "")) else ""
        raise ConfigError(f"{file}{where} is not YAML{twice}; correct it and keep the list's form.") from None


def _entry(raw: object, where: str) -> _Entry:
    if not isinstance(raw, dict):
        raise ConfigError(f"{where} is no account; write it as `- account_sid: AC…` and its fields below.")
    for name in raw:
        if name not in _Entry.__struct_fields__:
            shown = f" {name!r}" if isinstance(name, str) and _FIELD_NAME.fullmatch(name) else ""
            raise ConfigError(
                f"{where} has an unknown field{shown}; the fields are {', '.join(_Entry.__struct_fields__)}."
            )
    try:
        return msgspec.convert(raw, _Entry)
    except msgspec.ValidationError as wrong:
        raise ConfigError(f"{where}: {wrong}; put a text there, in quotes if it is all digits.") from wrong


def _account(entry: _Entry, where: str, source: Source) -> Account:
    first = _token(entry.auth_token, entry.auth_token_env, f"{where}: auth_token", source)
    following = _token(entry.auth_token_next, entry.auth_token_next_env, f"{where}: auth_token_next", source)
    if first is None:
        raise ConfigError(
            f"{where}: auth_token is missing, so no webhook of the account could be verified; set it to the "
            "account's primary auth token, or auth_token_env to the variable that has it."
        )
    tokens = (first,) if following is None else (first, following)
    check_account(entry.account_sid, tokens, f"{where}: account_sid", f"{where}: auth_token")
    if entry.public_base_url is not None:
        check_public_url(f"{where}: public_base_url", entry.public_base_url, source.local)
    if entry.tenant is not None:
        _check_tenant(entry.tenant, where)
    return Account(
        sid=entry.account_sid,
        tokens=tokens,
        tenant=entry.tenant,
        public_base_urls=tuple(filter(None, (entry.public_base_url, source.public_base_url))),
    )


def _token(written: str | None, variable: str | None, field: str, source: Source) -> str | None:
    if variable is None:
        return written
    if written is not None:
        raise ConfigError(f"{field} and {field.rpartition(' ')[2]}_env are both set; keep one of them.")
    if _VARIABLE.fullmatch(variable) is None:
        raise ConfigError(
            f"{field}_env is no name of an environment variable (capital letters, digits and _); the token "
            "itself belongs into the variable."
        )
    value = source.environment.get(variable)
    if not value:
        raise ConfigError(f"{field}_env names {variable}, which is not set; set it to the auth token.")
    return value


def _check_tenant(tenant: str, where: str) -> None:
    if not tenant.strip() or not tenant.isprintable() or tenant == _SHARED or len(tenant) > LONGEST_TENANT:
        raise ConfigError(
            f"{where}: tenant is empty, {_SHARED!r}, not printable or longer than {LONGEST_TENANT} "
            "characters; set it to the name that requests carry, or leave it out."
        )
