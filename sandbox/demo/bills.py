"""What the simulator charges for each message: its account's list of messages, read to the last page.

Source: facts, Twilio section 4 (the Messages resource: num_segments, price, price_unit). Asked with the
account's own token, as whoever checks an invoice would. Leaves to `sandbox.demo.reckoning` what follows.
"""

import base64
import http.client
from decimal import Decimal
from urllib.parse import urlsplit

import msgspec

from sandbox.carrier.errors import SimulatorError
from sandbox.carrier.resource import MessagePage, messages_uri
from sandbox.demo.reckoning import Bill

_PAGE = 1000
_TIMEOUT_S = 30.0


def fetch_bills(carrier_url: str, account_sid: str, auth_token: str) -> dict[str, Bill]:
    """By SID. Raises SimulatorError when it does not answer, or not with a list."""
    parts = urlsplit(carrier_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    credentials = base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()
    bills: dict[str, Bill] = {}
    uri: str | None = f"{messages_uri(account_sid)}?PageSize={_PAGE}"
    try:
        while uri is not None:
            connection.request("GET", uri, headers={"Authorization": f"Basic {credentials}"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise SimulatorError(f"the simulator's list of messages: HTTP {answer.status}; see its log")
            page = msgspec.json.decode(text, type=MessagePage)
            for message in page.messages:
                price = None if message.price is None else Decimal(message.price)
                bills[message.sid] = Bill(int(message.num_segments), price, message.price_unit or "")
            uri = page.next_page_uri
    except (OSError, http.client.HTTPException, msgspec.MsgspecError) as error:
        raise SimulatorError(f"the simulator's list of messages could not be read: {error}") from error
    finally:
        connection.close()
    return bills
