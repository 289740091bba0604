"""Where an address is, and the one spelling in which it is compared, kept and shown."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit, urlunsplit

DEFAULT_PORTS = {"http": 80, "https": 443}

ADMIN = "/admin"
"""NocoBase's own pages are below it; the address of a NocoBase ends before."""

LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
"""A part of a host's name. `_` is none by RFC 1123, but is found in internal names."""

WHOLE = "It must be an address that begins with https://, and names a host."
ADDRESS = "It must be NocoBase's address as users see it in the browser, without /admin."


class AddressRejected(ValueError):
    """Why a text is no address that can be used; the message does not repeat the text."""


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an IP address) is this very machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def normalized_address(text: str) -> str:
    """The address of a NocoBase as every client sends it. Raises AddressRejected.

    Without blanks around it, default port and slash at the end; scheme and host in lower case, an international name in
    its ASCII form (punycode).
    """
    parts = _split(text)
    if parts.scheme not in DEFAULT_PORTS or not parts.netloc:
        raise AddressRejected(WHOLE)
    if "@" in parts.netloc:
        raise AddressRejected("The address must not contain an account or password.")
    if parts.query or parts.fragment:
        raise AddressRejected("The address must not have a query string or a fragment.")
    origin, path = _netloc(parts), parts.path.rstrip("/")
    if {".", ".."} & set(path.split("/")):
        raise AddressRejected("The address must not have . or .. in its path.")
    if parts.scheme == "http" and not is_loopback(urlsplit(f"//{origin}").hostname or ""):
        raise AddressRejected("Only https is allowed outside this machine: the client secret is sent to this address.")
    if path.lower().endswith(ADMIN):
        nearest = urlunsplit((parts.scheme, origin, path[: -len(ADMIN)].rstrip("/"), "", ""))
        raise AddressRejected(f"{ADDRESS} That is {nearest}.")
    return urlunsplit((parts.scheme, origin, path, "", ""))


def normalized_uri(text: str) -> str:
    """A redirect URI in the spelling in which a browser sends its scheme and host; the rest stays as it is.

    Its host may have `*` as a part. Raises AddressRejected if it is not a URL with a host.
    """
    parts = _split(text)
    if not parts.scheme or not parts.netloc:
        raise AddressRejected("It is not an absolute URL.")
    if "@" in parts.netloc:
        raise AddressRejected("It must not contain an account or password.")
    # Not rebuilt from its parts, which would drop an empty query string or fragment.
    _, _, rest = text.strip().partition("//")
    return f"{parts.scheme}://{_netloc(parts, wildcards=True)}{rest[len(parts.netloc) :]}"


def comparable(uri: str) -> str:
    """`uri` for a comparison with others: normalized, or as it is if it is no URL."""
    try:
        return normalized_uri(uri)
    except AddressRejected:
        return uri


def _split(text: str) -> SplitResult:
    text = text.strip()
    # urlsplit drops tabs and line breaks in silence.
    if not text or any(letter.isspace() or not letter.isprintable() for letter in text) or "\\" in text:
        raise AddressRejected("An address has no blanks, control characters or backslashes in it.")
    try:
        return urlsplit(text)
    except ValueError as error:
        raise AddressRejected(f"It is not a URL: {error}.") from None


def _netloc(parts: SplitResult, wildcards: bool = False) -> str:
    """Host and port. Raises AddressRejected."""
    host = _host(parts.hostname or "", wildcards)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise AddressRejected("The port must be a number from 1 to 65535.")
    return host if port in (None, DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{port}"


def _host(name: str, wildcards: bool) -> str:
    with suppress(ValueError):
        address = ipaddress.ip_address(name)
        return f"[{address}]" if address.version == 6 else str(address)
    if not name.isascii():
        import idna  # noqa: PLC0415 - hardly an address needs it

        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError as error:
            raise AddressRejected(f"Its host is not a valid international name: {error}.") from None
    labels = name.split(".")
    valid = all(LABEL.fullmatch(label) or (wildcards and label == "*") for label in labels)
    # A name that ends in a number would be an IPv4 address, of which there is no such one.
    if not valid or len(name) > 253 or labels[-1].isdigit():
        raise AddressRejected("Its host is neither a name nor an IP address.")
    return name
