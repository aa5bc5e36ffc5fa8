"""Forwarded headers: under which public address was this request made, as a trusted proxy tells it?

Guarantees: from a peer that is not configured as a proxy nothing counts, whatever its headers say; anything
odd, ambiguous or unsafe is ignored as a whole, and then the configured public URL is what counts. Pure; never
raises on anything a client sends.
Leaves to others: the signature, which is checked over the address found here.

A proxy must overwrite or remove what its client sent: X-Forwarded-Proto, -Host, -Port and Forwarded alike.
Of a list the rightmost value counts, which the peer itself wrote; in RFC 7239's Forwarded, while an element
says that it was written for (`for=`) another trusted proxy, the next one to its left.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from ingress.errors import ConfigError
from ingress.signature import base_forms

# ASGI: name in lower case, value, in the order of the request.
Headers = Iterable[tuple[bytes, bytes]]

_SCHEMES = frozenset({"http", "https"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
# A host name without an underscore (Twilio calls none with), an IPv4 address or an IPv6 one in brackets, and
# perhaps a port. At most 253 characters: RFC 1035, section 2.3.4.
_AUTHORITY = re.compile(r"([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?")
_PORT = re.compile(r"[0-9]{1,5}")
# One `name=value` of an element (RFC 7239, section 4); a quoted value has no quotes and escapes inside.
_PAIR = re.compile(r'\s*([A-Za-z]+)=(?:"([^"\\]*)"|([^\s"\\;,=]+))\s*')
_WATCHED = {
    b"x-forwarded-proto": "proto",
    b"x-forwarded-host": "host",
    b"x-forwarded-port": "port",
    b"forwarded": "forwarded",
}


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The networks whose peers may say under which address a request was made; none by default."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, listed: str) -> "TrustedProxies":
        """From addresses and CIDR networks with commas between them; empty: none. Raises ConfigError."""
        found: list[IPv4Network | IPv6Network] = []
        for entry in filter(None, (part.strip() for part in listed.split(","))):
            try:
                network = ip_network(entry)
            except ValueError as wrong:
                raise ConfigError(
                    f"INGRESS_TRUSTED_PROXIES has an entry that is no address and no network: {wrong}; "
                    "e.g. 10.0.0.5,10.1.0.0/16."
                ) from wrong
            if network.prefixlen == 0:
                raise ConfigError(
                    f"INGRESS_TRUSTED_PROXIES has {entry}, so everybody could say which address they called; "
                    "name the proxies' own addresses or network."
                )
            found.append(network)
        return cls(tuple(found))

    def trust(self, address: str | None) -> bool:
        """Whether this peer is one of the proxies. False for what is no IP address."""
        if not self.networks or address is None:
            return False
        try:
            peer = ip_address(address)
        except ValueError:
            return False
        # A socket for both protocols shows an IPv4 peer as ::ffff:10.0.0.5.
        if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
            peer = peer.ipv4_mapped
        return any(peer in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a proxy says was called; None where it does not say."""

    scheme: str | None = None
    host: str | None = None
    port: int | None = None

    def base(self, configured: str) -> str:
        """The public base URL that follows: the configured one with what was said in place of its parts.

        The path prefix stays the configured one.
        """
        scheme_before, _, rest = configured.partition("://")
        authority, slash, prefix = rest.partition("/")
        scheme = self.scheme or scheme_before
        host, port = _parted(authority.rpartition("@")[2])
        # A port belongs to a host: the configured one's does not follow another host.
        port = self.port if self.port is not None else (port if self.host is None else None)
        shown = "" if port is None or port == _DEFAULT_PORTS.get(scheme) else f":{port}"
        return f"{scheme}://{self.host or host}{shown}{slash}{prefix}"


@lru_cache(maxsize=1024)
def forwarded_forms(origin: Origin, configured: str) -> tuple[bytes, ...]:
    """The forms in which Twilio may have signed the base URL that a proxy told (`signature.base_forms`)."""
    return base_forms(origin.base(configured))


def forwarded_origin(
    proxies: TrustedProxies, peer: str | None, headers: Headers, *, local: bool = False
) -> Origin | None:
    """What the proxy `peer` says was called; None when it may not say, says nothing, or contradicts itself.

    None too when it says plain http, unless `local`. Forwarded and X-Forwarded-* together count only when
    they say the same, as most proxies know one of them and let a client's other one pass.
    """
    if not proxies.networks or not proxies.trust(peer):
        return None
    said: dict[str, list[str]] = {}
    for name, value in headers:
        kind = _WATCHED.get(name)
        if kind is not None:
            said.setdefault(kind, []).append(value.decode("latin-1"))
    joined = {kind: ",".join(values) for kind, values in said.items()}
    if not joined:
        return None
    standard = joined.pop("forwarded", None)
    found = _origin({kind: value.rpartition(",")[2].strip() for kind, value in joined.items()})
    if standard is not None:
        also = _of_standard(standard, proxies)
        found = also if not joined or also == found else None
    return None if found is None or (found.scheme == "http" and not local) else found


def _of_standard(header: str, proxies: TrustedProxies) -> Origin | None:
    chosen: dict[str, str] | None = None
    for element in reversed(header.split(",")):
        pairs = _pairs(element)
        if pairs is None:
            return None
        chosen = pairs
        if not proxies.trust(_address(pairs.get("for", ""))):
            break
    return _origin({name: value for name, value in (chosen or {}).items() if name in ("proto", "host")})


def _pairs(element: str) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for part in element.split(";"):
        pair = _PAIR.fullmatch(part)
        if pair is None or pair[1].lower() in found:
            return None
        found[pair[1].lower()] = pair[2] if pair[2] is not None else pair[3]
    return found


def _address(node: str) -> str:
    """The IP address of a node (RFC 7239, section 6): `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    if node.startswith("["):
        return node[1:].partition("]")[0]
    return node.partition(":")[0]


def _origin(said: dict[str, str]) -> Origin | None:
    """The parts, checked; None when there are none or one of them is not as it must be."""
    scheme = said["proto"].lower() if "proto" in said else None
    if not said or (scheme is not None and scheme not in _SCHEMES):
        return None
    host, port = None, None
    if "host" in said:
        matched = _AUTHORITY.fullmatch(said["host"].lower())
        if matched is None:
            return None
        host, port = _parted(matched[0])
    if "port" in said:
        if _PORT.fullmatch(said["port"]) is None or port not in (None, int(said["port"])):
            return None
        port = int(said["port"])
    if port is not None and not 0 < port < 65536:
        return None
    return Origin(scheme, host, port)


def _parted(authority: str) -> tuple[str, int | None]:
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]") or not port:
        return authority, None
    return host, int(port)
