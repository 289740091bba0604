"""What is said of a request that got no answer: never the name of a class, never a text that may hold a secret."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import httpx
import pytest
import requests
from azure.core.exceptions import ServiceRequestError

from provisioning.connections import AnswerTooSlow
from provisioning.unanswered import no_answer

REQUEST = httpx.Request("GET", "https://graph.microsoft.com/v1.0/applications?secret=s3cr3t")
PREPARED = requests.Request("GET", "https://login.microsoftonline.com/common").prepare()
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


def caused(error: Exception, *causes: Exception) -> Exception:
    for outer, inner in zip((error, *causes), causes, strict=False):
        outer.__cause__ = inner
    return error


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "s3cr3t")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            caused(httpx.ConnectError("s3cr3t", request=REQUEST), REFUSED),
            "from graph.microsoft.com: Connection refused",
        ),
        (caused(httpx.ConnectError("s3cr3t"), REFUSED), ": Connection refused"),
        (httpx.ReadTimeout("s3cr3t", request=REQUEST), "from graph.microsoft.com: it did not answer in time"),
        (httpx.ReadError("s3cr3t", request=REQUEST), "from graph.microsoft.com: the connection was interrupted"),
        (httpx.ProxyError("s3cr3t"), ": the proxy rejected the connection"),
        (AnswerTooSlow("no whole answer within 30 s"), ": no whole answer within 30 s"),
        (
            caused(httpx.ConnectError("x"), untrusted()),
            ": its certificate is not trusted here: self-signed certificate",
        ),
        (caused(httpx.ConnectError("x"), socket.gaierror(-2, "s3cr3t")), ": its name is not resolved here"),
        (ssl.SSLError("s3cr3t"), ": no secure connection: TLS failed"),
        (
            caused(ServiceRequestError("s3cr3t"), requests.ConnectionError("s3cr3t", request=PREPARED), REFUSED),
            "from login.microsoftonline.com: Connection refused",
        ),
        (
            httpx.HTTPStatusError("s3cr3t", request=REQUEST, response=httpx.Response(503)),
            "from graph.microsoft.com: the status was 503",
        ),
    ],
)
def test_it_says_the_host_and_why(error: Exception, said: str) -> None:
    assert no_answer(error).removeprefix("no answer").strip() == said
