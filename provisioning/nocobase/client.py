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
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from provisioning import errors
from provisioning.connections import ANSWER_SECONDS
from provisioning.nocobase.connection import Connection
from provisioning.nocobase.login import SECRET_LENGTH, NocoBaseLogin
from provisioning.nocobase.request_errors import (
    NOT_FOUND,
    SIGN_IN,
    answer_lost,
    denied_by_gateway,
    error_code,
    error_for,
    has_form_of_error,
    json_object,
    not_a_nocobase,
    not_a_url,
    redirected,
    said,
    texts_in,
    unreachable,
)
from provisioning.nocobase.retry import Fate, Patience, TryAgain, fate_of_answer, fate_of_failure, retry_after
from provisioning.nocobase.version import Target, is_version_3, not_by_rest, numbered_version, target_of
from provisioning.unanswered import why_unanswered
from provisioning.waiting import answer_of, go_on, waiting_for


class NocoBaseClient(Connection):
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
        super().__init__(url, login, patience, filter(None, secrets), {"X-App": app} if app else {})
        self._app = app
        self._wrote = False

    @property
    def token(self) -> str:
        """The token in the Authorization header; empty before the first request."""
        return str(self._http.headers.get("Authorization", "")).removeprefix("Bearer ")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown of its answers."""
        return (*super().secrets, self.token)

    def keep_secret(self, secret: str | None) -> None:
        """Do not show `secret`, which NocoBase holds. A short one is no secret of Entra ID's, but part of words."""
        if secret and len(secret) >= SECRET_LENGTH:
            self._secrets.add(secret)

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
        return self._patiently(lambda: self._attempt(method, action, parameters, body), self._is_up)

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
                raise answer_lost(self.url, action, why_unanswered(failure)) from None
            error = unreachable(self.url, action, failure)
            raise TryAgain(error) if fate is Fate.REPEATED else error from None
        answer = json_object(response)
        if response.is_success and answer is not None:
            return answer.get("data")
        code = error_code(answer, [*texts_in(body), *self._login.secrets])
        fate = fate_of_answer(response.status_code, code, write, has_form_of_error(answer))
        if fate is Fate.LOST:
            raise answer_lost(self.url, action, said(response.status_code, code))
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
        code = error_code(json_object(health), [])
        return code != NOT_FOUND and fate_of_answer(health.status_code, code, write=False) is not Fate.REPEATED

    def _nothing_there(self, action: str, status: int, code: str | None) -> errors.NocoBaseError:
        """The error for an unknown `action`, by NocoBase's version, which this requests without a login."""
        why = f"{action} answered {said(status, code)}"
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
            answer = json_object(self._answer(lambda: self._http.get(f"{self.url}/api/{info}"), info)) or {}
        except httpx.RequestError:
            return None
        data = answer.get("data")
        return numbered_version(data.get("version")) if isinstance(data, dict) else None

    def _is_version_3(self) -> bool:
        try:
            path = "mail/providers"
            return is_version_3(json_object(self._answer(lambda: self._http.get(f"{self.url}/api/{path}"), path)))
        except httpx.RequestError:
            return False
