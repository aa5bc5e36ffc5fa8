"""Everything that one tenant decides."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from schemas.vocabulary import Category, Channel
from streams.policy.routing import Route
from streams.policy.sections import Cap, ChainStep, DeadNumbers, Prices, QuietHours, Retry, WhatsAppWindow
from streams.policy.senders import SenderGroup, SenderType, bare_sender, type_of
from streams.policy.sending import Sending

OTHER_SENDERS = ""
"""Name of the group of all senders that no group names."""


class TenantPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything one tenant decides. The defaults are what holds without a policy file.

    `unknown_zone` is the time zone of a number that belongs to none. Without `routes` the deployment's
    default sender sends whatever names none.
    """

    sender_groups: dict[str, SenderGroup] = {}
    quiet_hours: dict[Category, QuietHours] = msgspec.field(
        default_factory=lambda: {Category.MARKETING: QuietHours()}
    )
    caps: dict[Category, tuple[Cap, ...]] = {}
    dead_numbers: DeadNumbers = DeadNumbers()
    whatsapp_window: WhatsAppWindow = WhatsAppWindow()
    unknown_zone: str = "UTC"
    chains: dict[Category, tuple[ChainStep, ...]] = {}
    retry: Retry = Retry()
    smart_encoding: bool = False
    prices: Prices = Prices()
    sending: Sending = Sending()
    routes: tuple[Route, ...] = ()

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        for name, group in self.sender_groups.items():
            if name == OTHER_SENDERS:
                raise ValueError("a sender group must have a name")
            for sender in group.senders:
                if sender in seen:
                    raise ValueError(f"sender groups {seen[sender]} and {name} have a sender in common")
                seen[sender] = name
        try:
            ZoneInfo(self.unknown_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
            raise ValueError(f"there is no time zone {self.unknown_zone!r}") from unknown

    def group_of(self, sender: str) -> str:
        """The sender's group; OTHER_SENDERS when no group names it, so that without groups all are one."""
        bare = bare_sender(sender)
        return next((n for n, group in self.sender_groups.items() if bare in group.senders), OTHER_SENDERS)

    def sender_type(self, sender: str, channel: Channel) -> SenderType:
        """As the sender's group says; else by channel and number."""
        group = self.sender_groups.get(self.group_of(sender))
        return group.type if group is not None and group.type is not None else type_of(sender, channel)
