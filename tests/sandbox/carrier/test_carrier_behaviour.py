"""What is posted to whom, in which order, how often; what the ledger keeps; what handsets can say."""

import socket
from collections.abc import Callable
from uuid import uuid4

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

from sandbox.carrier.control import Inbound, send_inbound, set_inbound_url
from sandbox.carrier.errors import SimulatorError
from sandbox.carrier.ledger import Connection, Failure, Ledger, SeenRequest, fetch_ledger
from sandbox.carrier.magic import Magic
from tests.sandbox.carrier.support import (
    ACCOUNT,
    PATIENCE_S,
    SENDER,
    SERVICE,
    TOKEN,
    Receiver,
    Simulator,
)
from tests.waiting import wait_until


class Send:
    """Creates messages with a callback of their own, by plain HTTP: the SDK hides broken connections."""

    def __init__(self, simulator: Simulator, receiver: Receiver) -> None:
        self._simulator = simulator
        self._receiver = receiver
        self.path = f"/status/{uuid4().hex}"

    def __call__(
        self, to: str, *, service: bool = False, body: str = "", fragment: str = "", timeout: float = 10
    ) -> requests.Response:
        sender = {"MessagingServiceSid": SERVICE} if service else {"From": SENDER}
        callback = f"{self._receiver.url}{self.path}?n=1&name=a%20b+c{fragment}"
        form = {"To": to, "Body": body or self.path, "StatusCallback": callback, **sender}
        return requests.post(self._simulator.messages_url, data=form, auth=(ACCOUNT, TOKEN), timeout=timeout)

    def seen(self) -> list[SeenRequest]:
        return [each for each in self.ledger().requests if self.path in str(each.status_callback)]

    def ledger(self) -> Ledger:
        return self._simulator.ledger()

    def settled(self) -> Ledger:
        wait_until(
            lambda: self.seen() and all(self._done(each) for each in self.seen()), PATIENCE_S, "the end"
        )
        return self.ledger()

    def _done(self, request: SeenRequest) -> bool:
        return request.sid is None or self._simulator.message(request.sid).done

    def handsets(self) -> int:
        sids = {each.sid for each in self.seen()}
        return sum(each.sid in sids for each in self.settled().handsets)


@pytest.fixture
def send(simulator: Simulator, receiver: Receiver) -> Send:
    return Send(simulator, receiver)


def test_a_from_send_calls_back_sent_and_delivered(send: Send, receiver: Receiver) -> None:
    sid = send(Magic.DELIVERED.number).json()["sid"]
    hooks = receiver.await_statuses(send.path, "sent", "delivered")
    for hook in hooks:
        assert hook.params["MessageSid"] == hook.params["SmsSid"] == sid
        assert hook.params["SmsStatus"] == hook.status
        assert (hook.params["AccountSid"], hook.params["From"]) == (ACCOUNT, SENDER)
        assert "ErrorCode" not in hook.params
    assert "RawDlrDoneDate" in hooks[1].params


def test_a_service_send_calls_back_queued_first_with_the_chosen_sender(
    send: Send, receiver: Receiver
) -> None:
    send(Magic.DELIVERED.number, service=True)
    hooks = receiver.await_statuses(send.path, "queued", "sent", "delivered")
    assert hooks[0].params["From"].startswith("+1")
    assert hooks[0].params["MessagingServiceSid"] == SERVICE


@pytest.mark.parametrize(
    ("magic", "code"),
    [
        (Magic.UNREACHABLE, "30003"),
        (Magic.UNKNOWN_HANDSET, "30005"),
        (Magic.LANDLINE, "30006"),
        (Magic.FILTERED, "30007"),
        (Magic.UNKNOWN_ERROR, "30008"),
    ],
)
def test_an_undelivered_message_calls_back_its_code_and_reaches_nobody(
    send: Send, receiver: Receiver, magic: Magic, code: str
) -> None:
    send(magic.number)
    hooks = receiver.await_statuses(send.path, "sent", "undelivered")
    assert "ErrorCode" not in hooks[0].params
    assert hooks[1].params["ErrorCode"] == code
    assert send.handsets() == 0


def test_a_failed_message_is_never_sent(send: Send, receiver: Receiver) -> None:
    send(Magic.FAILED.number)
    hooks = receiver.await_statuses(send.path, "failed")
    assert hooks[0].params["ErrorCode"] == "30500"
    assert send.handsets() == 0


@pytest.mark.parametrize(("magic", "reached"), [(Magic.SILENT_REACHED, 1), (Magic.SILENT_LOST, 0)])
def test_a_silent_message_stays_sent(send: Send, receiver: Receiver, magic: Magic, reached: int) -> None:
    send(magic.number)
    assert send.handsets() == reached
    receiver.await_statuses(send.path, "sent")


def test_a_callback_can_come_before_the_answer(send: Send, receiver: Receiver) -> None:
    answer = send(Magic.CALLBACK_FIRST.number)
    assert receiver.of(send.path)[0].status == "sent"
    assert answer.status_code == 201
    assert receiver.of(send.path)[0].params["MessageSid"] == answer.json()["sid"]


def test_an_accepted_message_whose_connection_is_reset_is_delivered(send: Send, receiver: Receiver) -> None:
    with pytest.raises(requests.ConnectionError):
        send(Magic.ACCEPTED_RESET.number)
    receiver.await_statuses(send.path, "sent", "delivered")
    assert send.handsets() == 1
    [seen] = send.seen()
    assert (seen.connection, seen.http_status, seen.accepted) == (Connection.RESET, None, True)


def test_an_accepted_message_that_is_never_answered_is_delivered(send: Send, receiver: Receiver) -> None:
    with pytest.raises(requests.ReadTimeout):
        send(Magic.ACCEPTED_HANG.number, timeout=0.3)
    receiver.await_statuses(send.path, "sent", "delivered")
    wait_until(lambda: send.seen()[0].connection is Connection.HUNG, PATIENCE_S, "the caller's end")
    assert send.handsets() == 1


@pytest.mark.parametrize(
    ("magic", "status", "code"),
    [
        (Magic.ERROR_BEFORE, 500, 20500),
        (Magic.UNAVAILABLE, 503, 20503),
        (Magic.THROTTLED, 429, 20429),
    ],
)
def test_an_unprocessed_request_leaves_no_message(send: Send, magic: Magic, status: int, code: int) -> None:
    answer = send(magic.number)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    [seen] = send.seen()
    assert (seen.sid, seen.http_status, seen.error_code) == (None, status, code)


def test_a_500_after_acceptance_is_delivered_all_the_same(send: Send, receiver: Receiver) -> None:
    assert send(Magic.ERROR_AFTER.number).status_code == 500
    receiver.await_statuses(send.path, "sent", "delivered")
    assert send.handsets() == 1


@pytest.mark.parametrize("magic", [Magic.ERROR_BEFORE_ONCE, Magic.UNAVAILABLE_ONCE, Magic.THROTTLED_ONCE])
def test_what_fails_once_is_accepted_when_it_is_sent_again(send: Send, magic: Magic) -> None:
    assert send(magic.number).status_code >= 429
    assert send(magic.number).status_code == 201
    assert [seen.ordinal for seen in send.seen()] == [1, 2]


def test_duplicates_are_posted_with_tokens_of_their_own(send: Send, receiver: Receiver) -> None:
    send(Magic.DUPLICATES.number)
    send.settled()
    hooks = receiver.of(send.path)
    assert sorted(hook.status for hook in hooks) == ["delivered", "delivered", "sent", "sent"]
    assert len({hook.headers["I-Twilio-Idempotency-Token"] for hook in hooks}) == 4


def test_reversed_callbacks_come_last_to_first(send: Send, receiver: Receiver) -> None:
    send(Magic.REVERSED.number, service=True)
    receiver.await_statuses(send.path, "delivered", "sent", "queued")


def test_a_slow_answer_comes_after_its_delay(send: Send) -> None:
    assert float(send(Magic.SLOW.number).headers["Twilio-Request-Duration"]) >= 0.03


def test_lost_callbacks_leave_the_truth_to_those_who_ask(
    send: Send, receiver: Receiver, simulator: Simulator
) -> None:
    sid = send(Magic.CALLBACKS_LOST.number).json()["sid"]
    send.settled()
    assert simulator.client().messages(sid).fetch().status == "delivered"
    assert receiver.of(send.path) == []


def test_whatsapp_callbacks_carry_the_channels_parameters(simulator: Simulator, receiver: Receiver) -> None:
    path = f"/status/{uuid4().hex}"
    simulator.client().messages.create(
        to="whatsapp:" + Magic.UNREACHABLE.number,
        from_="whatsapp:" + SENDER,
        body=path,
        status_callback=receiver.url + path,
    )
    params = receiver.await_statuses(path, "sent", "undelivered")[1].params
    assert params["ChannelPrefix"] == "whatsapp"
    assert (params["EventType"], params["ChannelToAddress"]) == ("UNDELIVERED", "+1820555XXXX")


def test_the_sdks_validator_accepts_every_callback(send: Send, receiver: Receiver) -> None:
    send(Magic.DUPLICATES.number, body="näïve 😀 & = +", fragment="#rc=2&rp=all")
    send.settled()
    assert receiver.of(send.path)
    for hook in receiver.of(send.path):
        assert hook.path == f"{send.path}?n=1&name=a%20b+c"
        url, signature = receiver.url + hook.path, hook.headers["X-Twilio-Signature"]
        assert RequestValidator(TOKEN).validate(url, hook.params, signature)
        assert not RequestValidator("another").validate(url, hook.params, signature)
        assert hook.headers["User-Agent"] == "TwilioProxy/1.1"
        assert hook.headers["Content-Type"].startswith("application/x-www-form-urlencoded")


@pytest.mark.parametrize(
    ("fragment", "answers", "posts"),
    [
        ("", [500], 1),
        ("", [404], 1),
        ("#rp=5xx", [500], 2),
        ("#rp=5xx&rc=3", [500, 503, 500], 4),
        ("#rp=5xx&rc=0", [500], 1),
        ("#rp=5xx", [404], 1),
        ("#rp=all&rc=5", [404, 500], 3),
        ("#rt=200", [0], 1),
        ("#rt=200&rp=rt", [0], 2),
        ("#rp=all", [302], 1),
    ],
)
def test_a_callback_is_retried_as_its_fragment_says(
    send: Send, receiver: Receiver, fragment: str, answers: list[int], posts: int
) -> None:
    receiver.script[send.path].extend(answers)
    send(Magic.FAILED.number, fragment=fragment)
    send.settled()
    hooks = receiver.of(send.path)
    assert len(hooks) == posts
    assert len({hook.headers["I-Twilio-Idempotency-Token"] for hook in hooks}) == 1


def test_a_redirect_is_not_followed(send: Send, receiver: Receiver) -> None:
    receiver.script[send.path].append(302)
    send(Magic.FAILED.number)
    send.settled()
    assert receiver.of("/elsewhere") == []


def test_a_connect_failure_is_retried_once_by_default(simulator: Simulator) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        message = simulator.client().messages.create(
            to=Magic.FAILED.number, from_=SENDER, body=url, status_callback=url
        )
        simulator.settle_one(str(message.sid))
    posted = [each for each in simulator.ledger().callbacks if each.sid == message.sid]
    assert [(each.attempt, each.failure) for each in posted] == [(1, Failure.CONNECT), (2, Failure.CONNECT)]


def test_a_refused_create_is_in_the_ledger_with_its_code(simulator: Simulator) -> None:
    body = uuid4().hex
    with pytest.raises(TwilioRestException):
        simulator.client().messages.create(to="+12", from_=SENDER, body=body)
    seen = simulator.ledger().requests[-1]
    assert (seen.to, seen.sid, seen.http_status, seen.error_code) == ("+12", None, 400, 21211)


def test_the_ledgers_file_repeats_what_happened(
    start: Callable[..., Simulator], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("ledger") / "ledger.jsonl"
    simulator = start("--time-scale", "0", "--ledger", str(file))
    simulator.client().messages.create(to=Magic.DELIVERED.number, from_=SENDER, body="hello")
    simulator.settle()
    lines = file.read_text().splitlines()
    assert [line.split('"')[3] for line in lines] == ["request", "handset", "message"]


def test_the_same_seed_gives_the_same_ledger_in_another_order(start: Callable[..., Simulator]) -> None:
    options = ("--seed", "42", "--chaos", "worst", "--chaos-accepted-hang", "0", "--time-scale", "0.001")
    bodies = [f"message {number}" for number in range(60)]
    told = []
    # An option that repeats its default makes a second process with equal settings.
    for simulator, order in (
        (start(*options), bodies),
        (start(*options, "--chaos-slow", "0.08"), bodies[::-1]),
    ):
        for body in order:
            try:
                requests.post(
                    simulator.messages_url,
                    data={"To": "+12125551234", "From": SENDER, "Body": body},
                    auth=(ACCOUNT, TOKEN),
                    timeout=10,
                )
            except requests.ConnectionError:
                continue
        ledger = simulator.settle()
        told.append(
            (
                {
                    (each.sid, each.final_status, each.final_error_code, each.reached)
                    for each in ledger.messages
                },
                {(each.body_sha256, each.behaviour, each.sid) for each in ledger.requests},
            )
        )
    assert told[0] == told[1]


def test_above_its_concurrency_the_api_answers_429(start: Callable[..., Simulator]) -> None:
    simulator = start("--max-concurrency", "1", "--time-scale", "0.1")
    form = {"To": Magic.ACCEPTED_HANG.number, "From": SENDER, "Body": "hang"}
    hanging = socket.create_connection(("127.0.0.1", int(simulator.url.rsplit(":", 1)[1])))
    with hanging:
        prepared = requests.Request(
            "POST", simulator.messages_url, data=form, auth=(ACCOUNT, TOKEN)
        ).prepare()
        head = "".join(f"{name}: {value}\r\n" for name, value in prepared.headers.items())
        hanging.sendall(f"POST {prepared.path_url} HTTP/1.1\r\nHost: x\r\n{head}\r\n{prepared.body}".encode())
        wait_until(lambda: simulator.ledger().requests, PATIENCE_S, "the request that hangs")
        with pytest.raises(TwilioRestException) as caught:
            simulator.client().messages.create(to=Magic.DELIVERED.number, from_=SENDER, body="hello")
    assert (caught.value.status, caught.value.code) == (429, 20429)
    assert simulator.ledger().requests[-1].sid is None


def test_a_stop_blocks_the_pair_until_a_start(simulator: Simulator, receiver: Receiver) -> None:
    set_inbound_url(simulator.url, receiver.url + "/inbound")
    handset, client = "+15555550144", simulator.client()
    send_inbound(simulator.url, Inbound(from_=handset, to=SENDER, body=" stop "))
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to=handset, from_=SENDER, body="hello")
    assert (caught.value.status, caught.value.code) == (400, 21610)
    assert client.messages.create(to=handset, from_="+15005550010", body="hello").sid
    send_inbound(simulator.url, Inbound(from_=handset, to=SENDER, body="START"))
    assert client.messages.create(to=handset, from_=SENDER, body="hello").sid
    heard = [each for each in simulator.ledger().opt_outs if each.recipient == handset]
    assert [(each.keyword, each.opted_out) for each in heard] == [("STOP", True), ("START", False)]


def test_a_stop_fails_a_service_send_in_the_callback(
    send: Send, simulator: Simulator, receiver: Receiver
) -> None:
    set_inbound_url(simulator.url, receiver.url + "/inbound")
    handset = "+15555550145"
    first = send(handset, service=True).json()["sid"]
    chosen = simulator.message(first).sender
    send.settled()
    receiver.hooks.clear()
    send_inbound(simulator.url, Inbound(from_=handset, to=chosen, body="STOP"))
    assert send(handset, service=True).json()["status"] == "accepted"
    hooks = receiver.await_statuses(send.path, "queued", "failed")
    assert hooks[1].params["ErrorCode"] == "21610"


@pytest.mark.parametrize("body", ["STOP PLEASE", "opt out", "don't stop"])
def test_a_stop_inside_a_sentence_blocks_nobody(simulator: Simulator, receiver: Receiver, body: str) -> None:
    set_inbound_url(simulator.url, receiver.url + "/inbound")
    send_inbound(simulator.url, Inbound(from_="+15555550146", to=SENDER, body=body))
    assert simulator.client().messages.create(to="+15555550146", from_=SENDER, body="hello").sid


def test_a_handset_gets_the_webhooks_status_and_twiml(simulator: Simulator, receiver: Receiver) -> None:
    receiver.twiml = "<Response/>"
    receiver.script["/inbound"].append(200)
    set_inbound_url(simulator.url, receiver.url + "/inbound?x=1")
    said = Inbound(
        from_="whatsapp:+15555550147",
        to="whatsapp:" + SENDER,
        body="héllo",
        media_urls=("https://example.com/a.jpg",),
        extra={"ButtonPayload": "yes"},
    )
    reply = send_inbound(simulator.url, said)
    assert (reply.status, reply.body) == (200, "<Response/>")
    [hook] = receiver.of("/inbound")
    assert hook.params["MessageSid"] == reply.sid
    assert (hook.params["Body"], hook.params["NumMedia"], hook.params["WaId"]) == (
        "héllo",
        "1",
        "15555550147",
    )
    assert (hook.params["MediaUrl0"], hook.params["ButtonPayload"]) == ("https://example.com/a.jpg", "yes")
    url, signature = receiver.url + hook.path, hook.headers["X-Twilio-Signature"]
    assert RequestValidator(TOKEN).validate(url, hook.params, signature)


def test_a_handset_without_an_inbound_url_is_told_so(start: Callable[..., Simulator]) -> None:
    with pytest.raises(SimulatorError, match="inbound-url"):
        send_inbound(start("--seed", "99").url, Inbound(from_="+15555550148", to=SENDER, body="hi"))


def test_a_ledger_of_nobody_says_where_it_was_looked_for() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(SimulatorError, match=url):
            fetch_ledger(url)
