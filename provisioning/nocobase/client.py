"""One NocoBase application over its REST API: sends a request, returns the data, or raises what went wrong in words.

NocoBase's answers, measured on 2.2.15: success `{"data": …}`; an application's errors
`{"errors": [{message, code?}]}`; the gateway's errors `{"error": {status, maintaining, message, code}}`; an unknown
resource 404 as plain text. A 200 alone says little: callers look at the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from json import JSONDecodeError
from types import TracebackType
from typing import Any, Self

import httpx

from provisioning import errors
from provisioning.nocobase.login import NocoBaseLogin

TIMEOUT_SECONDS = 20.0
"""For each phase of one request (connect, write, read)."""


class NocoBaseClient:
    """A connection to the NocoBase at `url`, or to its sub-application `app`; use it in a `with` statement."""

    def __init__(self, url: str, app: str | None, login: NocoBaseLogin) -> None:
        self.url = url
        self._app = app
        self._login = login
        self._http = httpx.Client(
            headers={"X-App": app} if app else {},
            timeout=TIMEOUT_SECONDS,
            # Loading the certificate authorities takes longer than a request; plain http needs none.
            verify=url.startswith("https:"),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, action: str, **parameters: str) -> Any:
        """The data that `action` (like `mailSettings:list`) answers. Raises NocoBaseError."""
        return self._authorized("GET", action, parameters, None)

    def post(self, action: str, body: Mapping[str, object], **parameters: str) -> Any:
        """Have NocoBase carry out `action` with `body` and return the data of the answer. Raises NocoBaseError."""
        return self._authorized("POST", action, parameters, body)

    def _authorized(
        self, method: str, action: str, parameters: Mapping[str, str], body: Mapping[str, object] | None
    ) -> Any:
        if "Authorization" not in self._http.headers:
            self._http.headers["Authorization"] = f"Bearer {self._token()}"
        return self._send(method, action, parameters, body)

    def _token(self) -> str:
        if self._login.api_key:
            return self._login.api_key
        body = {"account": self._login.account, "password": self._login.password}
        data = self._send("POST", "auth:signIn", {}, body)
        if not isinstance(data, dict) or not isinstance(data.get("token"), str):
            raise errors.UnexpectedAnswer(
                f"NocoBase at {self.url} did not sign in {self._login.account}",
                "the answer to auth:signIn holds no token",
                "Use an API key (NOCOBASE_API_KEY) instead.",
            )
        return str(data["token"])

    def _send(self, method: str, action: str, parameters: Mapping[str, str], body: Mapping[str, object] | None) -> Any:
        try:
            response = self._http.request(method, f"{self.url}/api/{action}", params=dict(parameters), json=body)
        except httpx.TransportError as error:
            raise unreachable(self.url, action, error) from None
        if response.is_success:
            try:
                answer = response.json()
            except JSONDecodeError:
                answer = None
            if isinstance(answer, dict):
                return answer.get("data")
        raise refused(self.url, self._app, action, response)


def unreachable(url: str, action: str, error: httpx.TransportError) -> errors.NocoBaseError:
    """The error for a request that got no answer."""
    what = f"NocoBase at {url} cannot be reached for {action}"
    if isinstance(error, httpx.TimeoutException):
        return errors.Unreachable(what, f"no answer within {TIMEOUT_SECONDS:.0f} s", "Is it overloaded or firewalled?")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        remedy = "Name the authority that signed its certificate in SSL_CERT_FILE."
        return errors.Unreachable(what, "its certificate is not trusted here", remedy)
    remedy = "Is it running, and is nocobaseUrl its address? Then run the command again."
    return errors.Unreachable(what, str(error) or type(error).__name__, remedy)


def refused(url: str, app: str | None, action: str, response: httpx.Response) -> errors.NocoBaseError:
    """The error for an answer that is no success. Only NocoBase's error code is repeated, never its free text.

    A server's message may echo what it was sent, the client secret included.
    """
    status, code = response.status_code, error_code(response)
    why = f"{action} answered {status}" + (f" {code}" if code else "")
    if code == "APP_NOT_INSTALLED_ERROR":
        remedy = "Install it (open it in a browser, or `nocobase install`), then run the command again."
        return errors.NotInstalled(f"NocoBase at {url} is not installed yet", why, remedy)
    if code == "APP_PREPARING" and app:
        # NocoBase says so at first also of a sub-application that it then does not find.
        remedy = "Run the command again; if nocobaseApp is misspelt, the answer is then another."
        return errors.NotReady(f"NocoBase at {url} is preparing its sub-application {app}", why, remedy)
    if status in (502, 503, 504):
        remedy = "Wait until it has started, then run the command again."
        return errors.NotReady(f"NocoBase at {url} is starting or under maintenance", why, remedy)
    if status == 401:
        remedy = "Make a new API key in NocoBase (Settings → API keys) and set NOCOBASE_API_KEY."
        if action == "auth:signIn":
            remedy = "Correct NOCOBASE_ACCOUNT and NOCOBASE_PASSWORD."
        return errors.Unauthorized(f"NocoBase at {url} refused the login", why, remedy)
    if status == 403:
        remedy = "Give the API key's role the right to read and change mailSettings (the role root has it)."
        return errors.Forbidden(f"NocoBase at {url} denied {action}: the API key's role has not the right", why, remedy)
    if status == 404 and code and app:
        remedy = "Correct nocobaseApp, or create the sub-application."
        return errors.UnknownApplication(f"NocoBase at {url} has no sub-application {app}", why, remedy)
    if status == 404:
        remedy = "Enable the email manager plugin in NocoBase's plugin manager, then run the command again."
        return errors.EmailManagerMissing(f"NocoBase at {url} has no email manager", why, remedy)
    remedy = "Is nocobaseUrl the address of a NocoBase? Its server log tells more."
    return errors.UnexpectedAnswer(f"NocoBase at {url} gave an answer that is not understood", why, remedy, status)


def error_code(response: httpx.Response) -> str | None:
    """NocoBase's own error code in an answer, from the application (`errors`) or from the gateway (`error`)."""
    try:
        answer = response.json()
    except JSONDecodeError:
        return None
    if not isinstance(answer, dict):
        return None
    listed = answer.get("errors")
    first = listed[0] if isinstance(listed, list) and listed else answer.get("error")
    code = first.get("code") if isinstance(first, dict) else None
    return code if isinstance(code, str) and code.replace("_", "").isalnum() else None
