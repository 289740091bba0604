"""The one way in which this program opens a connection: which certificates it trusts, and which proxy it takes.

TLS trusts the authorities in SSL_CERT_FILE, else those of certifi and of this machine. A proxy is taken from
HTTPS_PROXY, HTTP_PROXY or ALL_PROXY unless NO_PROXY names the host. httpx's own reading of these variables fails on a
NO_PROXY with an IPv6 address and knows no ranges, so they are read here, in all forms that people have (measured: httpx
0.28).
"""

from __future__ import annotations

import ipaddress
import logging
import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import cache

import certifi
import httpx

from provisioning.errors import CertificatesUnusable, ProxyUnusable

PORTS = {"http": 80, "https": 443}

NOWHERE = logging.NullHandler()


def proxy_for(url: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """The proxy that the environment names for `url`, None for the direct way.

    Raises ProxyUnusable for a kind of proxy that is not supported. Its address may hold a password and is not repeated.
    """
    asked = httpx.URL(url)
    _, exempt = _variable("no_proxy", environment)
    if _is_exempt(asked.host, asked.port or PORTS.get(asked.scheme, 0), exempt):
        return None
    name, address = _variable(f"{asked.scheme}_proxy", environment)
    if not address:
        name, address = _variable("all_proxy", environment)
    if not address:
        return None
    whole = address if "://" in address else f"http://{address}"
    try:
        proxy = httpx.URL(whole)
    except httpx.InvalidURL:
        proxy = httpx.URL("http://")
    if proxy.scheme not in PORTS:
        raise ProxyUnusable(
            f"{name} names a proxy of the kind {proxy.scheme[:20]!r}, which is not supported. Let it be "
            "http://host:port or https://host:port, or unset it and name the hosts in NO_PROXY."
        )
    if not proxy.host or "%" in proxy.host or not 0 < (proxy.port or 1) < 65536:
        raise ProxyUnusable(f"{name} is no address of a proxy. Let it be http://host:port or https://host:port.")
    return whole


def quiet_azure() -> None:
    """Keep azure-identity's log off stderr: it repeats what is told as an error, in words from outside."""
    logging.getLogger("azure").addHandler(NOWHERE)


def trusted() -> ssl.SSLContext:
    """The authorities that are trusted. Raises CertificatesUnusable if SSL_CERT_FILE or SSL_CERT_DIR cannot be used."""
    return _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _trusted(file: str | None, folder: str | None) -> ssl.SSLContext:
    """The same for certain values; read once, because it takes longer than a request."""
    if not file and not folder:
        context = ssl.create_default_context(cafile=certifi.where())
        # Where a company's proxy reads along, its authority is installed on the machine.
        context.load_default_certs()
        return context
    try:
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    except ssl.SSLError:
        why = "holds no certificates"
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    raise CertificatesUnusable(
        f"{file or folder}, which {'SSL_CERT_FILE' if file else 'SSL_CERT_DIR'} names, {why}. Let it name certificates "
        "(PEM), or unset it."
    )


def _variable(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """A variable's name as it is written, small letters first as everywhere, and its value."""
    for written in (name, name.upper()):
        if value := environment.get(written, "").strip():
            return written, value
    return name.upper(), ""


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Whether NO_PROXY names the host: by name, domain, address, range or `*`; each with a port if it likes."""
    return any(_names(entry.strip().lower(), host.lower(), port) for entry in no_proxy.split(",") if entry.strip())


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    with suppress(ValueError):
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
        with suppress(ValueError):
            return ipaddress.ip_address(host) in network
        return False
    name, colon, number = entry.rpartition(":")
    if colon and number.isdigit():
        return int(number) == port and _names(name, host, port)
    name = entry.removeprefix("*").removeprefix(".")
    return host == name or host.endswith(f".{name}")
