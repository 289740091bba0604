"""Where an address is, and the one spelling in which it is compared, kept and shown."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit, urlunsplit

DEFAULT_PORTS = {"http": 80, "https": 443}

ADMIN = "/admin"
"""NocoBase's own pages are below it; the address of a NocoBase ends before."""

AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^\[\]:@%]+)(?::(?P<port>[^:]*))?", re.IGNORECASE)
"""Host and port."""

PORT = re.compile("[0-9]{1,5}")

PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
"""The path of a NocoBase's address: of the letters that need no percent encoding."""

REST = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
"""What follows the host of any URL (RFC 3986)."""

NUMBER = re.compile("[0-9]+|0x[0-9a-f]*")
"""The last part of a host by which browsers take all of it for an IPv4 address."""

LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
"""A part of a host's name. `_` is none by RFC 1123, but is found in internal names."""

WHOLE = "It must be an address that begins with https://, and names a host."
ADDRESS = "It must be NocoBase's address as users see it in the browser, without /admin."


NO_HOST = "Its host is neither a name nor an IP address."


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
    if not PATH.fullmatch(path):
        raise AddressRejected("The path of the address may have only letters, digits and . _ ~ - between slashes.")
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
    rest = text.strip().partition("//")[2][len(parts.netloc) :]
    if not REST.fullmatch(rest):
        raise AddressRejected("After its host it has a character that no URL has; write it as %XX.")
    return f"{parts.scheme}://{_netloc(parts, wildcards=True)}{rest}"


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
    except ValueError:  # its message repeats the text
        raise AddressRejected("It is not a URL.") from None


def _netloc(parts: SplitResult, wildcards: bool = False) -> str:
    """Host and port. Raises AddressRejected."""
    found = AUTHORITY.fullmatch(parts.netloc)
    if found is None:
        raise AddressRejected(NO_HOST)
    host = _host(found["host"].lower(), wildcards)
    if not found["port"]:
        return host
    port = int(found["port"]) if PORT.fullmatch(found["port"]) else 0
    if not 0 < port < 65536:
        raise AddressRejected("The port must be a number from 1 to 65535.")
    return host if port == DEFAULT_PORTS.get(parts.scheme) else f"{host}:{port}"


def _host(name: str, wildcards: bool) -> str:
    """A host's name as the network knows it: letters that may look like others are no longer to be seen in it."""
    with suppress(ValueError):
        if name.startswith("["):
            return f"[{ipaddress.IPv6Address(name[1:-1])}]"
        return str(ipaddress.IPv4Address(name))
    if not name.isascii() or "xn--" in name:
        import idna  # noqa: PLC0415 - hardly an address needs it

        try:
            name = idna.encode(name, uts46=True).decode() if not name.isascii() else name
            for label in name.split("."):
                idna.ulabel(label) if label.startswith("xn--") else label
        except idna.IDNAError:  # its message repeats the text
            raise AddressRejected("Its host is not a valid international name.") from None
    labels = name.split(".")
    valid = all(LABEL.fullmatch(label) or (wildcards and label == "*") for label in labels)
    # A name that ends in a number would be an IPv4 address, of which there is no such one.
    if not valid or len(name) > 253 or NUMBER.fullmatch(labels[-1]):
        raise AddressRejected(NO_HOST)
    return name
