"""What an unsuccessful answer of NocoBase's means, and a request that gets none: the error, why, and what to do.

Only statuses, NocoBase's own codes and the operating system's texts are repeated: a server's message may echo what it
was sent, the client secret included.
"""

from __future__ import annotations

import re
import ssl
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from provisioning import errors
from provisioning.connections import AnswerRejected, AnswerTooSlow, proxy_for
from provisioning.foreign import parsed_json
from provisioning.nocobase.installation import HEADERS, SET_API_KEY
from provisioning.nocobase.retry import proxy_status, root_cause
from provisioning.unanswered import why_unanswered

TIMEOUT_SECONDS = 20.0
"""For each phase of one request (connect, write, read)."""

SIGN_IN = "auth:signIn"
"""The one POST that changes nothing."""

NOT_FOUND = "APP_NOT_FOUND"
"""The gateway's code for an application that is unknown, not started yet, or stopping."""


def unforeseen(url: str, error: Exception) -> errors.UnexpectedAnswer:
    """The error for an answer that broke this program. Its text is not repeated: it may hold a secret."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(OWN)]
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return errors.UnexpectedAnswer(
        f"What NocoBase at {url} answered is not understood",
        f"{type(error).__name__}{where}",
        "Is nocobaseUrl the address of a NocoBase? If it is, the fault is this program's: report it.",
    )


OWN = Path(__file__).parents[1]
"""The folder of this program's own code."""


def not_a_url(url: str) -> errors.Unreachable:
    """The error for an address that no request can be sent to."""
    what = f"No request can be sent to NocoBase at {url}"
    return errors.Unreachable(what, "that is not a URL", "Correct nocobaseUrl.")


def unreachable(url: str, action: str, error: httpx.RequestError) -> errors.NocoBaseError:
    """The error for a request that got no answer. It repeats only the operating system's text."""
    what = f"NocoBase at {url} cannot be reached for {action}"
    cause = root_cause(error)
    if isinstance(error, AnswerRejected):
        return not_a_nocobase(url, f"{action}: {error}")
    if isinstance(error, AnswerTooSlow):
        return errors.Unreachable(what, str(error), "Is it overloaded, or is something else at this address?")
    if isinstance(error, httpx.TimeoutException):
        return errors.Unreachable(what, f"no answer within {TIMEOUT_SECONDS:.0f} s", "Is it overloaded or firewalled?")
    if isinstance(error, httpx.ProxyError):
        status = proxy_status(error)
        why = f"the proxy answered {status}" if status else "the proxy rejected the connection"
        return errors.Unreachable(what, why, "Correct HTTPS_PROXY, or name NocoBase's host in NO_PROXY.")
    if isinstance(cause, ssl.SSLCertVerificationError):
        remedy = "Name the authority that signed its certificate in SSL_CERT_FILE."
        return errors.Unreachable(what, why_unanswered(cause), remedy)
    if isinstance(cause, ssl.SSLError):
        remedy = "Does nocobaseUrl begin with https although the server there speaks http, or an outdated TLS?"
        return errors.Unreachable(what, why_unanswered(cause), remedy)
    interrupted = isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)
    default = "the connection was interrupted" if interrupted else "the request or its answer is not valid HTTP"
    why = (cause.strerror if isinstance(cause, OSError) else None) or default
    remedy = "Is it running, and is nocobaseUrl its address? Then run the command again."
    if url.startswith("https:") and proxy_for(url):
        remedy += " A proxy is set in the environment: is it running, or should NO_PROXY name the host?"
    return errors.Unreachable(what, why, remedy)


def answer_lost(url: str, action: str, why: str) -> errors.AnswerLost:
    """The error for a write that was sent and not answered."""
    what = f"NocoBase at {url} did not answer {action}, so that it is unknown whether it was carried out"
    return errors.AnswerLost(what, why, "Run the command again: it reads first what is there.")


def not_a_nocobase(url: str, why: str, status: int | None = None) -> errors.UnexpectedAnswer:
    """The error for a server that does not seem to be a NocoBase."""
    remedy = "Is nocobaseUrl the address of a NocoBase, with any path before /admin? See its server log."
    return errors.UnexpectedAnswer(f"NocoBase at {url} gave an unexpected answer", why, remedy, status)


GATEWAY = (
    "If a gateway in front of NocoBase wants headers of its own: pulumi config set --secret --path "
    f"'{HEADERS}.<name>' <value>. Otherwise let this machine through it."
)


def denied_by_gateway(url: str, action: str, status: int) -> errors.UnexpectedAnswer:
    """The error for a 401 or 403 with a page instead of NocoBase's JSON."""
    what = f"A gateway in front of NocoBase at {url} denied {action}"
    return errors.UnexpectedAnswer(what, f"{status} with a page that is not NocoBase's", GATEWAY, status)


def redirected(url: str, action: str, response: httpx.Response) -> errors.UnexpectedAnswer:
    """The error for an answer that leads elsewhere. Only the host is named: a gateway's link may hold a token.

    Another address is proposed only if it is the same site and path, so that key and secret stay with its owner.
    """
    asked = response.request.url
    status = response.status_code
    what = f"The server at {url} redirects to another address"
    try:
        target = asked.join(response.headers.get("Location", ""))
    except (httpx.InvalidURL, ValueError):
        return errors.UnexpectedAnswer(what, f"{action} answered {status} without one", GATEWAY, status)
    # As the network knows it: httpx's `host` has the letters that may look like others.
    host = re.sub(r"[^A-Za-z0-9.:-]", "", target.raw_host.decode("ascii", "replace"))[:LONGEST_HOST]
    why = f"{action} answered {status}, which leads to {host}"
    same_site = asked.host.removeprefix("www.") == target.host.removeprefix("www.")
    same_port = target.port == asked.port or asked.scheme != target.scheme
    downgraded = asked.scheme == "https" and target.scheme != "https"
    same_path = target.path == asked.path and not target.userinfo
    if same_site and same_port and same_path and not downgraded and target.copy_with(query=None) != asked:
        better = str(httpx.URL(url).copy_with(scheme=target.scheme, host=target.host, port=target.port))
        return errors.UnexpectedAnswer(what, why, f"Set nocobaseUrl to {better.rstrip('/')}", status)
    return errors.UnexpectedAnswer(what, why, f"That is not NocoBase's API. {GATEWAY}", status)


LONGEST_HOST = 253
"""Characters; source: RFC 1035."""


def error_for(url: str, app: str | None, action: str, status: int, code: str | None) -> errors.NocoBaseError:
    """The error for an unsuccessful answer. Only NocoBase's error code is repeated, never its free text.

    A server's message may echo what it was sent, the client secret included.
    """
    why = f"{action} answered {said(status, code)}"
    if code == "APP_NOT_INSTALLED_ERROR":
        remedy = "Install it (open it in a browser, or `nocobase install`), then run the command again."
        return errors.NotInstalled(f"NocoBase at {url} is not installed yet", why, remedy, status)
    if code == NOT_FOUND and app:
        remedy = "Correct nocobaseApp, or create the sub-application."
        return errors.UnknownApplication(f"NocoBase at {url} has no sub-application {app}", why, remedy, status)
    if status == 429:
        remedy = "Run the command again later."
        return errors.NotReady(f"NocoBase at {url} accepts no more requests for now", why, remedy, status)
    if status > 504 and code is None:
        remedy = "Is NocoBase running, and reachable for the gateway? Then run the command again."
        return errors.NotReady(f"The gateway in front of NocoBase at {url} got no answer from it", why, remedy, status)
    if status in (502, 503, 504) or code == NOT_FOUND:
        remedy = "Wait until it has started, then run the command again."
        return errors.NotReady(f"NocoBase at {url} is starting or under maintenance", why, remedy, status)
    if status == 401:
        remedy = f"Create a new API key in NocoBase (Settings → API keys) and {SET_API_KEY}"
        if action == SIGN_IN:
            remedy = "Correct NOCOBASE_ACCOUNT and NOCOBASE_PASSWORD."
        return errors.Unauthorized(f"NocoBase at {url} rejected the login", why, remedy, status)
    if status == 403:
        remedy = "Allow the API key's role to read and change mailSettings (the role root has it)."
        what = f"NocoBase at {url} denied {action}: the API key's role lacks the permission"
        return errors.Forbidden(what, why, remedy, status)
    return not_a_nocobase(url, why, status)


def has_form_of_error(answer: Mapping[str, Any] | None) -> bool:
    """Whether an answer has the form of NocoBase's errors."""
    return answer is not None and isinstance(answer.get("errors") or answer.get("error"), list | dict)


def error_code(answer: Mapping[str, Any] | None, sent: list[str]) -> str | None:
    """NocoBase's own error code in an answer, from the application (`errors`) or from the gateway (`error`).

    None if the code is part of something that was `sent`, such as a password, because errors repeat the code.
    """
    if answer is None:
        return None
    listed = answer.get("errors")
    first = listed[0] if isinstance(listed, list) and listed else answer.get("error")
    code = first.get("code") if isinstance(first, dict) else None
    if not isinstance(code, str) or not re.fullmatch(r"[A-Z][A-Z0-9_]{2,60}", code):
        return None
    return None if any(code in text or text in code for text in sent if len(text) > 3) else code


def json_object(response: httpx.Response) -> dict[str, Any] | None:
    """The JSON object in the answer; None if it is something else."""
    try:
        answer = parsed_json(response.content)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def texts_in(value: object) -> Iterator[str]:
    """All strings in a JSON value."""
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        yield from texts_in(part)


def said(status: int, code: str | None) -> str:
    """The status of an answer, and NocoBase's own code for an error."""
    return f"{status} {code}" if code else str(status)
