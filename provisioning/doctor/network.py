"""Whether this machine reaches what mail needs at Microsoft: sign-in, Graph, IMAP and SMTP.

NocoBase's server is the machine that has to. So this file runs there alone, with nothing but Python 3.9 or newer:

    ssh nocobase-server python3 - < provisioning/doctor/network.py

and for a NocoBase in a container without Python, in that container's network:

    docker run --rm -i --network container:nocobase python:3 python - < provisioning/doctor/network.py

It signs nobody in and sends nothing but greetings. It must import nothing beside Python's own library.
"""

from __future__ import annotations

import argparse
import http.client
import imaplib
import ipaddress
import json
import os
import smtplib
import socket
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

ENDPOINTS = {
    "sign-in": "https://login.microsoftonline.com",
    "graph": "https://graph.microsoft.com",
    "imap": "outlook.office365.com:993",
    "smtp": "smtp.office365.com:587",
    "smtp-outlook": "smtp-mail.outlook.com:587",
}
"""What is tried, and where: Microsoft's worldwide cloud. Mailboxes of Outlook.com share all of it but the last.

Source: Microsoft's page "POP, IMAP, and SMTP settings for Outlook.com".
"""

PERSONAL = ("smtp-outlook",)
"""What only personal mailboxes need, so that nobody else is stopped by it."""

PAGES = {"sign-in": "/common/v2.0/.well-known/openid-configuration", "graph": "/v1.0/"}
"""What is read over https: each answers with JSON to anybody, if only to say that nobody is signed in."""

TIMEOUT_SECONDS = 10.0

MECHANISM = "XOAUTH2"
"""How a mail server takes a token instead of a password."""

EXIT_CODES = "0 everything is reached that every mailbox needs, 1 something is not, 2 wrong usage"


UNEXPECTED = (ssl.SSLError, http.client.HTTPException, smtplib.SMTPException, imaplib.IMAP4.error)
"""What is raised where another server answers than the expected one."""

INTERRUPTED = (ConnectionError, smtplib.SMTPServerDisconnected, imaplib.IMAP4.abort)
"""What is raised where the server, or something in between, ends the conversation."""


class Reach(NamedTuple):
    """Whether one endpoint is reached. said: what was met there; remedy: what to do, empty if it is reached."""

    name: str
    reached: bool
    said: str
    remedy: str = ""


class _NotMicrosoft(Exception):
    """Something answers, but not what should be there."""


class _ProxyUnusable(Exception):
    """The proxy in the environment is of a kind that is not supported, or is no address."""


def reach_all(
    addresses: Mapping[str, str] = ENDPOINTS, timeout: float = TIMEOUT_SECONDS, tls: ssl.SSLContext | None = None
) -> list[Reach]:
    """Try all endpoints at the same time; the answers in the order of `addresses`, within three times `timeout`.

    timeout: seconds for each step of a conversation. tls: whom to trust; by default whom this machine trusts.
    """
    trusted = tls or ssl.create_default_context()
    answers: dict[str, Reach] = {}

    def ask(name: str, address: str) -> None:
        answers[name] = reach(name, address, timeout, trusted)

    threads = [threading.Thread(target=ask, args=item, daemon=True) for item in addresses.items()]
    for thread in threads:
        thread.start()
    # A name may have many addresses, which are tried one after the other.
    deadline = time.monotonic() + 3 * timeout
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [answers.get(name) or _failed(name, address, TimeoutError(), timeout) for name, address in addresses.items()]


def reach(name: str, address: str, timeout: float, tls: ssl.SSLContext) -> Reach:
    """Try one endpoint. name: a key of ENDPOINTS; address: as there."""
    try:
        if name == "imap":
            said = _greet_imap(*_host_and_port(address), timeout, tls)
        elif name in ("smtp", *PERSONAL):
            said = _greet_smtp(*_host_and_port(address), timeout, tls)
        else:
            said = _read_page(address + PAGES[name], timeout, tls)
    except (OSError, _NotMicrosoft, _ProxyUnusable, *UNEXPECTED) as error:
        return _failed(name, address, error, timeout)
    return Reach(name, True, f"{address}: {said}")


def _read_page(url: str, timeout: float, tls: ssl.SSLContext) -> str:
    proxy = find_proxy(url)
    proxies = urllib.request.ProxyHandler({"https": proxy} if proxy else {})
    opener = urllib.request.build_opener(proxies, urllib.request.HTTPSHandler(context=tls))
    try:
        with opener.open(url, timeout=timeout) as answer:
            status, body = answer.status, answer.read(65536)
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read(65536)
    except urllib.error.URLError as error:
        raise error.reason if isinstance(error.reason, OSError) else OSError(str(error.reason)) from None
    if not body.lstrip().startswith(b"{"):
        raise _NotMicrosoft(f"HTTP {status} without the expected answer")
    return "answers over https" + (f", through the proxy {_shown(proxy)}" if proxy else "")


def _greet_imap(host: str, port: int, timeout: float, tls: ssl.SSLContext) -> str:
    with imaplib.IMAP4_SSL(host, port, ssl_context=tls, timeout=timeout) as server:
        if f"AUTH={MECHANISM}" not in server.capabilities:
            raise _NotMicrosoft(f"an IMAP server that does not offer {MECHANISM}")
    return f"IMAP over TLS, offers {MECHANISM}"


def _greet_smtp(host: str, port: int, timeout: float, tls: ssl.SSLContext) -> str:
    # Without a name of its own, smtplib would look up this machine's, which may take long.
    with smtplib.SMTP(host, port, local_hostname="localhost", timeout=timeout) as server:
        server.ehlo()
        if not server.has_extn("starttls"):
            raise _NotMicrosoft("an SMTP server that does not offer STARTTLS")
        server.starttls(context=tls)
        server.ehlo()
        if MECHANISM not in server.esmtp_features.get("auth", "").upper():
            raise _NotMicrosoft(f"an SMTP server that does not offer {MECHANISM}")
    return f"SMTP with STARTTLS, offers {MECHANISM}"


def _failed(name: str, address: str, error: Exception, timeout: float) -> Reach:
    """What an error means, and what to do."""
    host, port = _host_and_port(address)
    proxy = find_proxy(address) if name in PAGES and not isinstance(error, _ProxyUnusable) else None
    open_it = _let_through(name, host, port, proxy)
    between = (
        f"Something stands in between (a proxy, a captive portal, a mail filter): let {host}:{port} pass as it is."
    )
    if isinstance(error, socket.gaierror):
        name_of, asked = ("its name", host) if proxy is None else ("the proxy's name", _shown(proxy))
        why, remedy = f"{name_of} is not resolved here", f"Correct this machine's DNS: {asked} has to be resolved."
    elif isinstance(error, (TimeoutError, socket.timeout)):
        why, remedy = f"no answer within {timeout:g} s", open_it
    elif isinstance(error, ConnectionRefusedError):
        why, remedy = "the connection is refused", open_it
    elif isinstance(error, ssl.SSLCertVerificationError):
        why = f"its certificate is not trusted here ({error.verify_message})"
        remedy = (
            "Install the package ca-certificates. If a company's proxy reads along, name its authority in "
            "SSL_CERT_FILE; NocoBase itself takes it from NODE_EXTRA_CA_CERTS."
        )
    elif isinstance(error, _ProxyUnusable):
        return Reach(name, False, f"{address}: {error}", "Let it be http://host:port, or unset it.")
    elif isinstance(error, INTERRUPTED):
        why, remedy = "the connection was interrupted", between
    elif isinstance(error, (_NotMicrosoft, *UNEXPECTED)):
        expected = {"imap": "IMAP", **dict.fromkeys(PAGES, "https")}.get(name, "SMTP")
        why = str(error) if isinstance(error, _NotMicrosoft) else f"what answers there does not speak {expected}"
        if isinstance(error, ssl.SSLError):
            why = f"no secure connection: {error.reason or 'TLS failed'}"
        remedy = between
    else:
        why, remedy = getattr(error, "strerror", None) or "the connection was interrupted", open_it
    return Reach(name, False, f"{address}: {why}" + (f" (through the proxy {_shown(proxy)})" if proxy else ""), remedy)


def _let_through(name: str, host: str, port: int, proxy: str | None) -> str:
    """What to do where nothing is reached."""
    if proxy:
        question = f"Is the proxy running, and does it let {host}:{port} through?"
        return f"{question} If it is the wrong one, correct HTTPS_PROXY, or name {host} in NO_PROXY."
    open_it = f"Let this machine connect to {host}, TCP port {port} (firewall, security group)."
    if name in PAGES:
        return f"{open_it} Behind a proxy for https, set HTTPS_PROXY."
    open_it += " A proxy for https does not help: mail needs this port itself."
    return f"{open_it} Only mailboxes of Outlook.com (personal accounts) need it." if name in PERSONAL else open_it


def find_proxy(url: str) -> str | None:
    """The proxy that the environment names for `url`, with its login; None for a direct connection.

    By the rules of provisioning/connections.py. Raises _ProxyUnusable.
    """
    host, port = _host_and_port(url)
    _, exempt = _variable("no_proxy")
    if any(_names(entry.strip().lower(), host, port) for entry in exempt.split(",") if entry.strip()):
        return None
    name, address = _variable("https_proxy")
    if not address:
        name, address = _variable("all_proxy")
    if not address:
        return None
    whole = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(whole)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        raise _ProxyUnusable(f"{name} is no address of a proxy") from None
    if parts.scheme not in ("http", "https"):
        raise _ProxyUnusable(f"{name} names a proxy of the kind {parts.scheme[:20]!r}, which is not supported")
    if not usable:
        raise _ProxyUnusable(f"{name} is no address of a proxy")
    return whole


def _variable(name: str) -> tuple[str, str]:
    for written in (name, name.upper()):
        value = os.environ.get(written, "").strip()
        if value:
            return written, value
    return name.upper(), ""


def _names(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY names the host: by name, domain, address, range or `*`."""
    if entry == "*":
        return True
    try:
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        name, colon, number = entry.rpartition(":")
        if colon and number.isdigit():
            return int(number) == port and _names(name, host, port)
        name = entry[1:] if entry.startswith("*") else entry
        name = name[1:] if name.startswith(".") else name
        return host == name or host.endswith(f".{name}")
    try:
        return ipaddress.ip_address(host) in network
    except ValueError:
        return False


def _shown(proxy: str) -> str:
    """A proxy's host and port, without its login."""
    parts = urlsplit(proxy)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def endpoints(given: list[str]) -> dict[str, str]:
    """ENDPOINTS with those replaced that are given as NAME=ADDRESS. Raises ValueError with what is wrong."""
    addresses = dict(ENDPOINTS)
    for one in given:
        name, _, address = one.partition("=")
        if name not in ENDPOINTS:
            raise ValueError(f"{name} is none of {', '.join(ENDPOINTS)}.")
        host, port = _host_and_port(address)
        if not host or port < 1 or (name in PAGES) is not address.startswith("https://"):
            raise ValueError(f"{one}: the address has to look like {ENDPOINTS[name]}.")
        addresses[name] = address.rstrip("/")
    return addresses


def _host_and_port(address: str) -> tuple[str, int]:
    """The port is 0 where none is named, and -1 where it is no number."""
    parts = urlsplit(address if "//" in address else f"//{address}")
    try:
        port = parts.port
    except ValueError:
        return "", -1
    return parts.hostname or "", port or (443 if parts.scheme == "https" else 0)


def main() -> int:
    """Print a line for each endpoint; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], epilog=f"Exit codes: {EXIT_CODES}.")
    parser.add_argument("--endpoint", action="append", default=[], metavar="NAME=ADDRESS", help="another address")
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS", default=TIMEOUT_SECONDS, help="for each step (default: %(default)g)"
    )
    parser.add_argument("--format", choices=["table", "json"], default="table", help="how to print it")
    given = parser.parse_args()
    try:
        answers = reach_all(endpoints(given.endpoint), given.timeout)
    except ValueError as error:
        parser.error(str(error))
    if given.format == "json":
        print(json.dumps([answer._asdict() for answer in answers], indent=2))
    else:
        for answer in answers:
            verdict = "OK" if answer.reached else "warning" if answer.name in PERSONAL else "failed"
            print(f"{verdict:<8} {answer.name:<12}  {answer.said}")
            if answer.remedy:
                print(f"{'':<8} -> {answer.remedy}")
    return 0 if all(answer.reached or answer.name in PERSONAL for answer in answers) else 1


if __name__ == "__main__":
    sys.exit(main())
