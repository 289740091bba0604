"""What a failed request to Microsoft Graph, or a failed sign-in for it, means: its class, and what to do about it.

Only status codes and error codes are repeated, and what `unanswered` says, never a text. Imports no SDK: errors are
recognised by name.

Sources: Microsoft's pages "Microsoft Graph error responses and resource types", "Microsoft Graph throttling guidance"
and "Microsoft Entra service limits and restrictions".
"""

from __future__ import annotations

import socket
import ssl
from http import HTTPStatus

from provisioning.entra import error_codes
from provisioning.errors import DirectoryFailure, DirectoryUnreadable
from provisioning.unanswered import causes, no_answer, why_unanswered

NO_ANSWERS = {
    ("httpx", "TransportError"),
    ("httpcore", "NetworkError"),
    ("httpcore", "TimeoutException"),
    ("requests", "ConnectionError"),
    ("requests", "Timeout"),
    ("azure", "ServiceRequestError"),
    ("azure", "ServiceResponseError"),
}
"""Packages, and their errors for a request that got no answer."""

REMEDIES = {
    DirectoryFailure.NO_ANSWER: "Is there a way to Microsoft from here, or a proxy (HTTPS_PROXY)? To look: python -m "
    "provisioning doctor --network-only.",
    DirectoryFailure.THROTTLED: "Entra ID limits requests for now: wait some minutes.",
    DirectoryFailure.UNAVAILABLE: "Entra ID cannot serve for now: wait some minutes.",
    DirectoryFailure.SIGN_IN: "Sign in: `az login --tenant <tenant id>`, or by the ARM_* variables of the azuread "
    "provider.",
    DirectoryFailure.DENIED: "Is this account an owner of the application, or may it manage applications?",
    DirectoryFailure.NOT_FOUND: "What was made a moment ago may appear only in a minute; what was deleted by hand "
    "comes back by `pulumi up`.",
    DirectoryFailure.QUOTA: "The account (250 objects without an administrator's role, deleted ones included for 30 "
    "days) or the tenant has as many as Entra ID allows. Delete applications that nobody needs, for good (App "
    "registrations → Deleted applications).",
    DirectoryFailure.CONFLICT: "Somebody else, or another run, changes the same object: wait until that has ended.",
    DirectoryFailure.NOT_UNDERSTOOD: "Does a proxy or a gateway answer in Microsoft's place? To look: python -m "
    "provisioning doctor --network-only. If nothing does, the fault is this program's: report it.",
    DirectoryFailure.OTHER: "If the error stays, look for its code in Microsoft's documentation.",
}

UNKNOWN_OUTCOME = (DirectoryFailure.NO_ANSWER, DirectoryFailure.UNAVAILABLE, DirectoryFailure.NOT_UNDERSTOOD)
"""After these, it is unknown whether a change was carried out."""


def is_no_answer(error: BaseException) -> bool:
    """Whether an error, or one that caused it, says that a request got no answer."""
    for one in causes(error):
        if isinstance(one, ConnectionError | TimeoutError | socket.gaierror | ssl.SSLError):
            return True
        kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(one).__mro__}
        if kinds & NO_ANSWERS:
            return True
    return False


def failure_of_answer(status: int | None, code: str) -> DirectoryFailure:
    """The class of an answer. status: HTTP's. code: Graph's error code, empty if there is none."""
    if "quota" in code.lower():
        return DirectoryFailure.QUOTA
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return DirectoryFailure.UNAVAILABLE
    if code == "Directory_ConcurrencyViolation":
        return DirectoryFailure.CONFLICT
    by_status: dict[int | None, DirectoryFailure] = {
        HTTPStatus.UNAUTHORIZED: DirectoryFailure.SIGN_IN,
        HTTPStatus.FORBIDDEN: DirectoryFailure.DENIED,
        HTTPStatus.NOT_FOUND: DirectoryFailure.NOT_FOUND,
        HTTPStatus.CONFLICT: DirectoryFailure.CONFLICT,
        HTTPStatus.TOO_MANY_REQUESTS: DirectoryFailure.THROTTLED,
    }
    return by_status.get(status, DirectoryFailure.OTHER)


def unreadable_answer(status: int | None, code: str, write: bool) -> DirectoryUnreadable:
    """The error for an unsuccessful answer of Graph. write: whether the request was to change something."""
    failure = failure_of_answer(status, code)
    _, remedy = error_codes.reason(code) or (code, None)
    return _unreadable(failure, f"{status} {code}".strip(), remedy, write)


def unreadable_sign_in(error: Exception, write: bool) -> DirectoryUnreadable:
    """The error for a request that got no answer, or for which nobody could sign in.

    The text of `error` lists every way to sign in that was tried; only a code in it is repeated.
    """
    known = error_codes.reason(str(error), deployer=True)
    if known is not None:
        return _unreadable(DirectoryFailure.SIGN_IN, *known, write=False)
    if is_no_answer(error):
        return _unreadable(DirectoryFailure.NO_ANSWER, no_answer(error), None, write)
    status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
    failure = failure_of_answer(status, "") if isinstance(status, int) else DirectoryFailure.OTHER
    if failure is DirectoryFailure.OTHER and type(error).__module__.startswith("azure"):
        failure = DirectoryFailure.SIGN_IN
    reason = f"the status was {status}" if status else "nobody is signed in, or the sign-in failed"
    if failure is DirectoryFailure.OTHER:
        reason = why_unanswered(error)
    return _unreadable(failure, reason, None, write=False)


def not_understood(error: Exception, write: bool) -> DirectoryUnreadable:
    """The error for an answer that broke the SDK or this program. Its text is not repeated: it may hold a secret."""
    reason = f"the answer is not understood; for a report: {type(error).__name__}"
    return _unreadable(DirectoryFailure.NOT_UNDERSTOOD, reason, None, write)


def no_cloud(origin: str) -> DirectoryUnreadable:
    """The error for a metadata host that describes no cloud. origin: what names the host."""
    reason = "the cloud's endpoints cannot be read: no cloud is described there"
    remedy = f"Does {origin} name the metadata host of a cloud? Correct or unset it."
    return _unreadable(DirectoryFailure.NOT_UNDERSTOOD, reason, remedy, write=False)


def _unreadable(failure: DirectoryFailure, reason: str, remedy: str | None, write: bool) -> DirectoryUnreadable:
    told = remedy or REMEDIES[failure]
    unknown = write and failure in UNKNOWN_OUTCOME
    outcome = "It is unknown whether it was carried out" if unknown else "Nothing was changed"
    return DirectoryUnreadable(
        f"The application or its client secrets cannot be {'changed' if write else 'read'} in Entra ID ({reason}). "
        f"{told} {outcome}; run the command again.",
        reason,
        failure,
        told,
    )
