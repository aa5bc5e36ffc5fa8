"""Twilio's Lookup v2 as the simulator answers it, line_type_intelligence only, and numbers that change
carriers.

Source: facts, Twilio section 9; twilio-oai lookups_v2. The carrier is the one that serves the number here
(`carriers`), or the one it was ported to. Country codes (MCC) are the real ones; network codes (MNC) are
counted within the country and invented. An impossible number is answered 200 with valid=false, as Twilio
does.

Client side: `port_number`, `fetch_lookups`; server side: `LookupsApi.routes`.
"""

from collections.abc import Callable

import msgspec
import phonenumbers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.carrier._http import call
from sandbox.carrier.admission import admit
from sandbox.carrier.carriers import CARRIERS, carrier_of
from sandbox.carrier.errors import ApiError
from sandbox.carrier.resource import error_body
from sandbox.carrier.settings import Settings

_FIELD = "line_type_intelligence"
_MCC = {
    "US": "310", "GB": "234", "DE": "262", "FR": "208", "ES": "214",
    "BR": "724", "IN": "404", "MX": "334", "AU": "505", "ZA": "655",
}  # fmt: skip
_TYPES = {
    phonenumbers.PhoneNumberType.MOBILE: "mobile",
    phonenumbers.PhoneNumberType.FIXED_LINE: "landline",
    # One range for both, as in the United States: those that are written to are mobile.
    phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE: "mobile",
    phonenumbers.PhoneNumberType.VOIP: "nonFixedVoip",
    phonenumbers.PhoneNumberType.TOLL_FREE: "tollFree",
    phonenumbers.PhoneNumberType.PREMIUM_RATE: "premium",
}


class LineTypeIntelligence(msgspec.Struct, frozen=True, kw_only=True):
    """As Twilio writes it; null for what is not told."""

    error_code: int | None = None
    mobile_country_code: str | None = None
    mobile_network_code: str | None = None
    carrier_name: str | None = None
    type: str | None = None


class PhoneNumber(msgspec.Struct, frozen=True, kw_only=True):
    """The resource, its other packages always null: nobody asks for them."""

    calling_country_code: str | None
    country_code: str | None
    phone_number: str
    national_format: str | None
    valid: bool
    validation_errors: tuple[str, ...]
    line_type_intelligence: LineTypeIntelligence | None = None
    url: str


class Ported(msgspec.Struct, frozen=True, kw_only=True):
    """A number that belongs to another carrier from now on."""

    number: str
    carrier: str


class LookupBook(msgspec.Struct, frozen=True, kw_only=True):
    """Every look-up of the package that was answered with 200, so charged, in order."""

    numbers: tuple[str, ...]


def port_number(base_url: str, number: str, carrier: str) -> None:
    """Look-ups of `number` answer `carrier` from now on. Raises SimulatorError."""
    call(base_url, "PUT", "/_simulator/ported", Ported(number=number, carrier=carrier), Ported)


def fetch_lookups(base_url: str) -> LookupBook:
    """The look-ups so far. Raises SimulatorError."""
    return call(base_url, "GET", "/_simulator/lookups", None, LookupBook)


class LookupsApi:
    """The server side."""

    def __init__(self, settings: Settings, now_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._now_ms = now_ms
        self._ported: dict[str, str] = {}
        self._asked: list[str] = []

    @property
    def routes(self) -> list[Route]:
        """Mount these at the root."""
        return [
            Route("/v2/PhoneNumbers/{number}", self._lookup, methods=["GET"]),
            Route("/_simulator/ported", self._port, methods=["PUT"]),
            Route("/_simulator/lookups", self._book, methods=["GET"]),
        ]

    async def _lookup(self, request: Request) -> Response:
        number = request.path_params["number"]
        try:
            admit(request, self._settings, 1, self._now_ms())
        except ApiError as refused:
            return _json(error_body(refused), refused.http_status)
        wanted = _FIELD in request.query_params.get("Fields", "").split(",")
        if wanted:
            self._asked.append(number)
        return _json(
            phone_number(number, wanted, self._ported.get(number), str(request.url.replace(query="")))
        )

    async def _port(self, request: Request) -> Response:
        ported = msgspec.json.decode(await request.body(), type=Ported)
        self._ported[ported.number] = ported.carrier
        return _json(ported)

    async def _book(self, request: Request) -> Response:
        return _json(LookupBook(numbers=tuple(self._asked)))


def phone_number(text: str, wanted: bool, ported: str | None, url: str) -> PhoneNumber:
    """What is answered about `text`; `wanted`: with the line type. Pure."""
    try:
        parsed = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return _invalid(text, "NOT_A_NUMBER", url)
    if not phonenumbers.is_possible_number(parsed):
        return _invalid(text, "INVALID_LENGTH", url)
    return PhoneNumber(
        calling_country_code=str(parsed.country_code),
        country_code=phonenumbers.region_code_for_number(parsed),
        phone_number=text,
        national_format=phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL),
        valid=True,
        validation_errors=(),
        line_type_intelligence=_line(text, parsed, ported) if wanted else None,
        url=url,
    )


def _line(text: str, parsed: phonenumbers.PhoneNumber, ported: str | None) -> LineTypeIntelligence:
    served = carrier_of(text)
    name = ported or (served.name if served.name != "unknown" else None)
    kind = _TYPES.get(phonenumbers.number_type(parsed), "unknown")
    country = phonenumbers.region_code_for_number(parsed) or "ZZ"
    return LineTypeIntelligence(
        mobile_country_code=_MCC.get(country) if kind == "mobile" else None,
        mobile_network_code=_mnc(country, name) if kind == "mobile" else None,
        carrier_name=name,
        type=kind,
    )


def _mnc(country: str, name: str | None) -> str | None:
    networks = [carrier.name for carrier in CARRIERS if carrier.country == country]
    return f"{networks.index(name) + 1:02d}" if name in networks else None


def _invalid(text: str, why: str, url: str) -> PhoneNumber:
    return PhoneNumber(
        calling_country_code=None,
        country_code=None,
        phone_number=text,
        national_format=None,
        valid=False,
        validation_errors=(why,),
        url=url,
    )


def _json(body: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")
