"""Which path takes which kind of webhook: how it is read, and what it is understood as."""

from collections.abc import Callable

from ingress.accepted import Accepted
from ingress.accounts import Accounts
from ingress.answers.decide import Answers
from ingress.answers.guard import LoopGuard
from ingress.call_events import call_status
from ingress.callback_url import EVENTS_PATH, INBOUND_PATH, STATUS_PATH, VOICE_PATH, attempt_of
from ingress.calls import Kind
from ingress.config import IngressConfig
from ingress.encoding import Encoder
from ingress.event_streams import event_batch
from ingress.events import InboundContext, inbound, status_callback
from ingress.exchanges import Endpoint as Taking
from ingress.keeping import Keeper
from ingress.metrics import Webhook
from ingress.reading import Reader, VerifiedBody, VerifiedForm
from ingress.refusals import Refusal
from ingress.webhooks import Endpoint, Reports

FORM_METHODS = frozenset({"GET", "POST"})


def webhooks(
    config: IngressConfig,
    accounts: Callable[[], Accounts],
    answers: Answers,
    encoder: Encoder,
    keeper: Keeper,
    reports: Reports,
) -> dict[str, Taking]:
    """The endpoints by path."""
    reader = Reader(config, accounts)
    guard = LoopGuard()

    def status(read: VerifiedForm, received_at: int) -> Accepted | Refusal:
        return status_callback(read.form, attempt_of(read.query), received_at)

    def message(read: VerifiedForm, received_at: int) -> Accepted | Refusal:
        context = InboundContext(config.sender_tenants, answers, guard, read.account.tenant)
        return inbound(read.form, context, received_at)

    def call(read: VerifiedForm, received_at: int) -> Accepted | Refusal:
        return call_status(read.form, attempt_of(read.query), received_at)

    def batch(read: VerifiedBody, received_at: int) -> Accepted | Refusal:
        return event_batch(read.body, read.account.sid, received_at)

    parts = (encoder, keeper, reports)
    return {
        STATUS_PATH: Endpoint(Webhook.STATUS, FORM_METHODS, Kind.FORM, reader.form, status, *parts),
        INBOUND_PATH: Endpoint(Webhook.INBOUND, FORM_METHODS, Kind.FORM, reader.form, message, *parts),
        VOICE_PATH: Endpoint(Webhook.VOICE, FORM_METHODS, Kind.FORM, reader.form, call, *parts),
        EVENTS_PATH: Endpoint(Webhook.EVENTS, frozenset({"POST"}), Kind.JSON, reader.json, batch, *parts),
    }
