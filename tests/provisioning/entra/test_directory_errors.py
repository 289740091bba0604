"""What a failed request to Entra ID means: rights are asked about only where Entra ID denied something."""

from __future__ import annotations

import socket
import ssl

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.identity import CredentialUnavailableError

from provisioning.entra import directory_errors
from provisioning.entra.directory_errors import REMEDIES
from provisioning.errors import DirectoryFailure, DirectoryUnreadable

RIGHTS = REMEDIES[DirectoryFailure.DENIED]


@pytest.mark.parametrize(
    ("status", "code", "failure"),
    [
        (403, "Authorization_RequestDenied", DirectoryFailure.DENIED),
        (403, "", DirectoryFailure.DENIED),
        (403, "Directory_QuotaExceeded", DirectoryFailure.QUOTA),
        (400, "Directory_QuotaExceeded", DirectoryFailure.QUOTA),
        (404, "Request_ResourceNotFound", DirectoryFailure.NOT_FOUND),
        (404, "", DirectoryFailure.NOT_FOUND),
        (409, "Request_MultipleObjectsWithSameKeyValue", DirectoryFailure.CONFLICT),
        (429, "TooManyRequests", DirectoryFailure.THROTTLED),
        (500, "InternalServerError", DirectoryFailure.UNAVAILABLE),
        (503, "serviceNotAvailable", DirectoryFailure.UNAVAILABLE),
        (401, "InvalidAuthenticationToken", DirectoryFailure.SIGN_IN),
        (400, "Request_BadRequest", DirectoryFailure.OTHER),
        (None, "", DirectoryFailure.OTHER),
    ],
)
@pytest.mark.parametrize("write", [False, True])
def test_answers(status: int | None, code: str, failure: DirectoryFailure, write: bool) -> None:
    error = directory_errors.unreadable_answer(status, code, write)
    assert error.failure is failure
    assert error.remedy in str(error)
    assert ("owner" in error.remedy) is (failure is DirectoryFailure.DENIED)
    unknown = write and failure is DirectoryFailure.UNAVAILABLE
    assert ("It is unknown whether" in str(error), "Nothing was changed" in str(error)) == (unknown, not unknown)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


REQUEST = httpx.Request("GET", "https://localhost")


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (httpx.ConnectError("s3cr3t"), DirectoryFailure.NO_ANSWER),
        (httpx.ReadTimeout("s3cr3t"), DirectoryFailure.NO_ANSWER),
        (httpx.ProxyError("s3cr3t"), DirectoryFailure.NO_ANSWER),
        (ServiceRequestError("s3cr3t"), DirectoryFailure.NO_ANSWER),
        (caused(ClientAuthenticationError("s3cr3t"), ServiceRequestError("s3cr3t")), DirectoryFailure.NO_ANSWER),
        (ConnectionResetError("s3cr3t"), DirectoryFailure.NO_ANSWER),
        (socket.gaierror("s3cr3t"), DirectoryFailure.NO_ANSWER),
        (ssl.SSLError("s3cr3t"), DirectoryFailure.NO_ANSWER),
        (httpx.HTTPStatusError("s3cr3t", request=REQUEST, response=httpx.Response(503)), DirectoryFailure.UNAVAILABLE),
        (ClientAuthenticationError("AADSTS7000215: s3cr3t"), DirectoryFailure.SIGN_IN),
        (CredentialUnavailableError("s3cr3t"), DirectoryFailure.SIGN_IN),
        (HttpResponseError("s3cr3t"), DirectoryFailure.SIGN_IN),
        (PermissionError("s3cr3t"), DirectoryFailure.OTHER),
    ],
)
def test_without_an_answer_of_graph(error: Exception, failure: DirectoryFailure) -> None:
    told = directory_errors.unreadable_sign_in(error, write=True)
    assert told.failure is failure
    assert "s3cr3t" not in str(told)
    assert RIGHTS not in told.remedy
    assert ("It is unknown whether" in str(told)) is (failure is DirectoryFailure.NO_ANSWER)
    assert isinstance(told, DirectoryUnreadable)


def test_every_class_has_a_remedy() -> None:
    assert set(REMEDIES) == set(DirectoryFailure)


@pytest.mark.parametrize("error", [RuntimeError("x"), ValueError("x"), FileNotFoundError("x"), PermissionError("x")])
def test_what_is_no_matter_of_the_network(error: Exception) -> None:
    assert not directory_errors.is_no_answer(error)
