"""One NocoBase application over its REST API: sends a request, and returns the data or raises an error in plain words.

NocoBase's answers, measured on 2.2.15: success `{"data": …}`; an application's errors
`{"errors": [{message, code?}]}`; the gateway's errors `{"error": {status, maintaining, message, code}}`; an unknown
resource 404 as plain text. A 200 alone says little: callers check the data.

Requests that may succeed later are repeated as long as the client's patience lasts (see `retry`).

Certificates, proxies and the limits of an answer are those of `connections`. Whatever a NocoBase answers is its own
problem: an error that nobody has foreseen becomes one of this NocoBase, and no error repeats a secret that was sent.
"""

from __future__ import annotations

import re
import ssl
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from provisioning import errors
from provisioning.connections import ANSWER_SECONDS, AnswerRejected, AnswerTooSlow, proxy_for, transport
from provisioning.foreign import parsed_json
from provisioning.nocobase.installation import HEADERS
from provisioning.nocobase.login import SECRET_LENGTH, NocoBaseLogin
from provisioning.nocobase.retry import (
    Fate,
    Patience,
    TryAgain,
    fate_of_answer,
    fate_of_failure,
    proxy_status,
    retry_after,
    root_cause,
)
from provisioning.nocobase.version import Target, is_version_3, not_by_rest, numbered_version, target_of
from provisioning.waiting import answer_of, go_on, waiting_for

TIMEOUT_SECONDS = 20.0
"""For each phase of one request (connect, write, read)."""

SIGN_IN = "auth:signIn"
"""The one POST that changes nothing."""

NOT_FOUND = "APP_NOT_FOUND"
"""The gateway's code for an application that is unknown, not started yet, or stopping."""


def connection(url: str, headers: Mapping[str, str]) -> httpx.Client:
    """The connections to the NocoBase at `url`, on which no request was sent yet.

    Raises Unreachable if the environment's certificates or proxy cannot be used, and NocoBaseError for what is no URL.
    """
    try:
        return httpx.Client(headers=headers, timeout=TIMEOUT_SECONDS, transport=transport(url), trust_env=False)
    except (errors.ProxyUnusable, errors.CertificatesUnusable) as error:
        what = f"No request can be sent to NocoBase at {url}"
        raise errors.Unreachable(what, "a variable of the environment prevents it", str(error)) from None
    except httpx.InvalidURL:
        raise not_a_url(url) from None


def raise_without_secrets(error: BaseException | None, url: str, secrets: Collection[str]) -> None:
    """Raise what has ended the use of a connection, if anything has, as a ProvisioningError without `secrets`."""
    if isinstance(error, errors.NocoBaseError):
        raise error.redacted(secrets) from None
    if isinstance(error, Exception) and not isinstance(error, errors.ProvisioningError):
        raise unforeseen(url, error) from None


class NocoBaseClient:
    """A connection to the NocoBase at `url`, or to its sub-application `app`; use it in a `with` statement.

    patience: how long to wait for a NocoBase that is unreachable or not ready; by default not at all.
    secrets: what it may know besides the login, such as a client secret that it was given: what it answers may echo it.
    Raises Unreachable if the environment's certificates or proxy cannot be used.
    """

    def __init__(
        self,
        url: str,
        app: str | None,
        login: NocoBaseLogin,
        patience: Patience | None = None,
        secrets: Collection[str | None] = (),
    ) -> None:
        self.url = url
        self._app = app
        self._login = login
        self._patience = patience or Patience(0)
        self._secrets = {secret for secret in secrets if secret}
        self._wrote = False
        self._http = connection(url, {**login.headers, **({"X-App": app} if app else {})})

    @property
    def token(self) -> str:
        """The token in the Authorization header; empty before the first request."""
        return str(self._http.headers.get("Authorization", "")).removeprefix("Bearer ")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown of its answers."""
        return (*self._login.secrets, self.token, *self._secrets)

    def keep_secret(self, secret: str | None) -> None:
        """Do not show `secret`, which NocoBase holds. A short one is no secret of Entra ID's, but part of words."""
        if secret and len(secret) >= SECRET_LENGTH:
            self._secrets.add(secret)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections. Raises every error within as a ProvisioningError without secrets."""
        self._http.close()
        raise_without_secrets(error, self.url, self.secrets)

    def get_public(self, action: str) -> Any:
        """The data that `action` answers without a login. Raises NocoBaseError."""
        return self._send("GET", action, {}, None)

    def get(self, action: str, **parameters: str) -> Any:
        """The data that `action` (like `mailSettings:list`) answers. Raises NocoBaseError."""
        return self._authorized("GET", action, parameters, None)

    def post(self, action: str, body: Mapping[str, object], **parameters: str) -> Any:
        """Have NocoBase carry out `action` with `body` and return the data of the answer.

        Raises NocoBaseError. After AnswerLost, read what is there before writing again. A write that was sent is
        settled: after it, no request of this client is interrupted, each at most `connections.ANSWER_SECONDS` long.
        """
        return self._authorized("POST", action, parameters, body)

    def _authorized(
        self, method: str, action: str, parameters: Mapping[str, str], body: Mapping[str, object] | None
    ) -> Any:
        if "Authorization" not in self._http.headers:
            self._http.headers["Authorization"] = f"Bearer {self._token()}"
        return self._send(method, action, parameters, body)

    def _token(self) -> str:
        if self._login.api_key:
            if not re.fullmatch(r"[!-~]+", self._login.api_key):
                why = "it contains a space, a line break or another character that no API key has"
                remedy = "Set NOCOBASE_API_KEY to the whole key, without anything else."
                raise errors.Unauthorized(f"The API key for NocoBase at {self.url} cannot be sent", why, remedy)
            return self._login.api_key
        body = {"account": self._login.account, "password": self._login.password}
        data = self._send("POST", SIGN_IN, {}, body)
        token = data.get("token") if isinstance(data, dict) else None
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
            raise errors.UnexpectedAnswer(
                f"NocoBase at {self.url} did not sign in {self._login.account}",
                f"the answer to {SIGN_IN} has no token",
                "Use an API key (NOCOBASE_API_KEY) instead.",
            )
        return token

    def _send(self, method: str, action: str, parameters: Mapping[str, str], body: Mapping[str, object] | None) -> Any:
        def attempt() -> Any:
            return self._attempt(method, action, parameters, body)

        try:
            return attempt()
        except TryAgain as failure:
            return self._patience.repeat(attempt, failure, self._is_up)

    def _attempt(
        self, method: str, action: str, parameters: Mapping[str, str], body: Mapping[str, object] | None
    ) -> Any:
        write = method != "GET" and action != SIGN_IN
        try:
            response = self._answer(
                lambda: self._http.request(method, f"{self.url}/api/{action}", params=dict(parameters), json=body),
                action,
                write,
            )
        except httpx.InvalidURL:
            raise not_a_url(self.url) from None
        except httpx.RequestError as failure:
            fate = fate_of_failure(failure, write)
            if fate is Fate.LOST:
                raise answer_lost(self.url, action, type(failure).__name__) from None
            error = unreachable(self.url, action, failure)
            raise TryAgain(error) if fate is Fate.REPEATED else error from None
        answer = _object(response)
        if response.is_success and answer is not None:
            return answer.get("data")
        code = error_code(answer, [*_texts(body), *self._login.secrets])
        fate = fate_of_answer(response.status_code, code, write, has_form_of_error(answer))
        if fate is Fate.LOST:
            raise answer_lost(self.url, action, _said(response.status_code, code))
        if 300 <= response.status_code < 400:
            raise redirected(self.url, action, response)
        if fate is Fate.FAILED and is_version_3(answer):
            raise not_by_rest(self.url, "3", f"{action} answered {response.status_code}")
        if fate is Fate.FAILED and answer is None and response.status_code in (401, 403):
            raise denied_by_gateway(self.url, action, response.status_code)
        if fate is Fate.FAILED and (response.status_code == 404 or answer is None):
            raise self._nothing_there(action, response.status_code, code)
        error = error_for(self.url, self._app, action, response.status_code, code)
        if fate is Fate.FAILED:
            raise error
        pause = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
        raise TryAgain(error, pause, doubtful=fate is Fate.DOUBTFUL)

    def _answer(self, request: Callable[[], httpx.Response], action: str, write: bool = False) -> httpx.Response:
        """What NocoBase answers. Raises Interrupted if the wait is to end and nothing was written."""
        try:
            if write and not self._wrote:
                go_on()
                self._wrote = True
            if not self._wrote:
                return answer_of(request, f"NocoBase at {self.url}", ANSWER_SECONDS)
            with waiting_for(f"NocoBase at {self.url}", ANSWER_SECONDS):
                return request()
        except errors.Interrupted:
            raise errors.Interrupted(
                f"Interrupted while NocoBase at {self.url} was asked for {action}; nothing was changed there. "
                "Run the command again."
            ) from None

    def _is_up(self) -> bool:
        """Whether the main application has started and is not stopping."""
        try:
            check = "__health_check"
            health = self._answer(lambda: self._http.get(f"{self.url}/api/{check}", headers={"X-App": "main"}), check)
        except httpx.RequestError:
            return False
        code = error_code(_object(health), [])
        return code != NOT_FOUND and fate_of_answer(health.status_code, code, write=False) is not Fate.REPEATED

    def _nothing_there(self, action: str, status: int, code: str | None) -> errors.NocoBaseError:
        """The error for an unknown `action`, by NocoBase's version, which this requests without a login."""
        why = f"{action} answered {_said(status, code)}"
        version = self._version()
        if version is None:
            return not_by_rest(self.url, "3", why) if self._is_version_3() else not_a_nocobase(self.url, why, status)
        if target_of(version) is Target.CONFIGURATION:
            return not_by_rest(self.url, version, why)
        if status != 404:
            return error_for(self.url, self._app, action, status, code)
        remedy = "Enable the email manager plugin in NocoBase's plugin manager, then run the command again."
        return errors.EmailManagerMissing(f"NocoBase {version} at {self.url} has no email manager", why, remedy, status)

    def _version(self) -> str | None:
        try:
            info = "app:getInfo"
            answer = _object(self._answer(lambda: self._http.get(f"{self.url}/api/{info}"), info)) or {}
        except httpx.RequestError:
            return None
        data = answer.get("data")
        return numbered_version(data.get("version")) if isinstance(data, dict) else None

    def _is_version_3(self) -> bool:
        try:
            path = "mail/providers"
            return is_version_3(_object(self._answer(lambda: self._http.get(f"{self.url}/api/{path}"), path)))
        except httpx.RequestError:
            return False


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
        return errors.Unreachable(what, f"its certificate is not trusted here: {cause.verify_message}", remedy)
    if isinstance(cause, ssl.SSLError):
        remedy = "Does nocobaseUrl begin with https although the server there speaks http, or an outdated TLS?"
        return errors.Unreachable(what, f"no secure connection: {cause.reason or type(cause).__name__}", remedy)
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
    why = f"{action} answered {_said(status, code)}"
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
        remedy = "Create a new API key in NocoBase (Settings → API keys) and set NOCOBASE_API_KEY."
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


def _object(response: httpx.Response) -> dict[str, Any] | None:
    """The JSON object in the answer; None if it is something else."""
    try:
        answer = parsed_json(response.content)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _texts(value: object) -> Iterator[str]:
    """All strings in a JSON value."""
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        yield from _texts(part)


def _said(status: int, code: str | None) -> str:
    return f"{status} {code}" if code else str(status)
