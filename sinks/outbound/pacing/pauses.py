"""What must not send for now: senders, tenants, providers, or everything; why, and until when. Pure."""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from schemas.records import OutboundCommand


class Reach(StrEnum):
    SENDER = "sender"
    TENANT = "tenant"
    # All that goes by one provider's account.
    PROVIDER = "provider"
    EVERYTHING = "everything"


class Scope(NamedTuple):
    """Whose commands: those of this sender, tenant or provider. Everything has no name."""

    reach: Reach
    name: str = ""


EVERYTHING = Scope(Reach.EVERYTHING)


class Pause(NamedTuple):
    """`until` is in ms since the epoch; None: until it is resumed."""

    scope: Scope
    reason: str
    until: int | None


class Pauses:
    """The pauses that hold. A second one of the same scope takes the first one's place."""

    def __init__(self) -> None:
        self._pauses: dict[Scope, Pause] = {}

    def __iter__(self) -> Iterator[Pause]:
        return iter(tuple(self._pauses.values()))

    def begin(self, pause: Pause) -> None:
        self._pauses[_plain(pause.scope)] = pause

    def end(self, scope: Scope) -> bool:
        """Whether there was one."""
        return self._pauses.pop(_plain(scope), None) is not None

    def over(self, now: int) -> list[Scope]:
        """Scopes whose pause has come to its end by now."""
        return [each.scope for each in self._pauses.values() if each.until is not None and each.until <= now]

    def ends_at(self) -> int | None:
        """When the first of them ends by itself."""
        return min((each.until for each in self._pauses.values() if each.until is not None), default=None)

    def of_everything(self) -> Pause | None:
        return self._pauses.get(EVERYTHING)

    def of_sender(self, sender: str) -> Pause | None:
        return self._pauses.get(Scope(Reach.SENDER, sender))

    def group(self, command: OutboundCommand) -> Scope | None:
        """The paused tenant or provider that keeps this command waiting, though its sender may send."""
        if not self._pauses:
            return None
        for scope in (Scope(Reach.TENANT, command.tenant), Scope(Reach.PROVIDER, command.provider)):
            if scope in self._pauses:
                return scope
        return None


def _plain(scope: Scope) -> Scope:
    return EVERYTHING if scope.reach is Reach.EVERYTHING else scope
