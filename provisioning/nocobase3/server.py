"""NocoBase 3 over its REST API: which mail providers it offers, and the sign-in link of one.

Source: the API documentation of its mail plugin (app-plugin-mail, November 2026). Success is `{"data": …}`, an error
`{"error": {code, status, reason, domain, message, requestId}}`; `reason` decides. An API key goes into the header
x-api-key. A request for a link leaves an entry in NocoBase that expires after ten minutes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from provisioning import errors
from provisioning.connections import ANSWER_SECONDS
from provisioning.foreign import quoted
from provisioning.nocobase.connection import Connection
from provisioning.nocobase.installation import SET_API_KEY
from provisioning.nocobase.login import SECRET_LENGTH, NocoBaseLogin
from provisioning.nocobase.request_errors import (
    denied_by_gateway,
    json_object,
    not_a_nocobase,
    not_a_url,
    redirected,
    unreachable,
)
from provisioning.nocobase.retry import Fate, Patience, TryAgain, fate_of_answer, fate_of_failure, retry_after
from provisioning.nocobase.sign_in_link import SignIn, link_without
from provisioning.nocobase.version import is_version_3, numbered_version
from provisioning.nocobase3.config_file import MICROSOFT
from provisioning.waiting import answer_of

PROVIDERS = "mail/providers"
AUTHORIZATIONS = "mail/authorizations"


class MailServer(Connection):
    """A connection to the NocoBase 3 at `url`; use it in a `with` statement.

    patience: how long to wait for one that is unreachable or not ready; by default not at all. secrets: what it may
    know besides the login. Raises Unreachable if the environment's certificates or proxy cannot be used, and
    Unauthorized without an API key.
    """

    def __init__(
        self, url: str, login: NocoBaseLogin, patience: Patience | None = None, secrets: Collection[str] = ()
    ) -> None:
        if not login.api_key.isascii() or not login.api_key.isprintable() or not login.api_key.strip():
            why = "an account with its password does not do, nor a key with other characters than a key has"
            remedy = f"Make an API key in NocoBase, for a user with access to its mail, and {SET_API_KEY}"
            raise errors.Unauthorized(f"NocoBase 3 at {url} takes an API key", why, remedy)
        long = [secret for secret in secrets if len(secret) >= SECRET_LENGTH]
        super().__init__(url, login, patience, long, {"x-api-key": login.api_key})

    def providers(self) -> frozenset[tuple[str, str]]:
        """Type and name of the mail providers that are configured and enabled. Raises NocoBaseError."""
        data = self._send("GET", PROVIDERS, None)
        listed = data if isinstance(data, list) else []
        return frozenset(
            (str(one.get("type")), str(one.get("name")))
            for one in listed
            if isinstance(one, dict) and one.get("configured") is not False
        )

    def sign_in(self, name: str) -> SignIn | None:
        """What the sign-in link of the Microsoft provider `name` says; None if NocoBase does not offer that provider.

        Raises NocoBaseError.
        """
        if (MICROSOFT, name) not in self.providers():
            return None
        body = {"type": MICROSOFT, "name": name, "initialSyncReceivedAfter": datetime.now(UTC).isoformat()}
        try:
            data = self._send("POST", AUTHORIZATIONS, body)
        except _NoLink:
            return None
        url = data.get("authorizationUrl") if isinstance(data, dict) else None
        return link_without(url, self.secrets) if isinstance(url, str) else SignIn(None, None)

    def _send(self, method: str, path: str, body: Mapping[str, object] | None) -> Any:
        return self._patiently(lambda: self._attempt(method, path, body), lambda: True)

    def _attempt(self, method: str, path: str, body: Mapping[str, object] | None) -> Any:
        try:
            answer = answer_of(
                lambda: self._http.request(method, f"{self.url}/api/{path}", json=body),
                f"NocoBase at {self.url}",
                ANSWER_SECONDS,
            )
        except httpx.InvalidURL:
            raise not_a_url(self.url) from None
        except httpx.RequestError as failure:
            error = unreachable(self.url, path, failure)
            # A link may be asked for as often as needed, so this is no write.
            raise TryAgain(error) if fate_of_failure(failure, write=False) is Fate.REPEATED else error from None
        found = json_object(answer)
        if answer.is_success and found is not None:
            return found.get("data")
        if 300 <= answer.status_code < 400:
            raise redirected(self.url, path, answer)
        reason = reason_of(found)
        if body is not None and (reason == "MAIL_PROVIDER_UNAVAILABLE" or (answer.status_code == 500 and reason)):
            # Not known yet, or without client ID and secret: NocoBase then answers 500.
            raise _NoLink
        error = self._error(path, answer, found, reason)
        if fate_of_answer(answer.status_code, None, write=False) is Fate.REPEATED:
            raise TryAgain(error, retry_after(answer.headers.get("Retry-After"), datetime.now(UTC)))
        raise error

    def _error(
        self, path: str, answer: httpx.Response, found: Mapping[str, Any] | None, reason: str | None
    ) -> errors.NocoBaseError:
        status = answer.status_code
        why = f"{path} answered {status} {reason}" if reason else f"{path} answered {status}"
        if status == 401 and reason:
            remedy = f"Make a new API key in NocoBase and {SET_API_KEY}"
            return errors.Unauthorized(f"NocoBase at {self.url} rejected the API key", why, remedy, status)
        if status == 403 and reason:
            remedy = "Give the user of the API key access to the mail workspace (mail.workspace)."
            return errors.Forbidden(f"NocoBase at {self.url} denied {path}", why, remedy, status)
        if status in (429, 502, 503, 504):
            remedy = "Wait until it has started, then run the command again."
            return errors.NotReady(f"NocoBase at {self.url} is not ready", why, remedy, status)
        if is_version_3(found):
            remedy = "Add its mail plugin (app-plugin-mail), then run the command again."
            return errors.EmailManagerMissing(f"NocoBase at {self.url} has no mail plugin", why, remedy, status)
        version = self._version_2()
        if version is not None:
            remedy = "Remove nocobaseConfigFile: NocoBase 2 takes the credentials by its REST API."
            return errors.UnexpectedAnswer(f"NocoBase at {self.url} is version {quoted(version)}", why, remedy, status)
        if status in (401, 403) and found is None:
            return denied_by_gateway(self.url, path, status)
        return not_a_nocobase(self.url, why, status)

    def _version_2(self) -> str | None:
        try:
            info = answer_of(
                lambda: self._http.get(f"{self.url}/api/app:getInfo"), f"NocoBase at {self.url}", ANSWER_SECONDS
            )
            answer = json_object(info) or {}
        except httpx.RequestError:
            return None
        data = answer.get("data")
        return numbered_version(data.get("version")) if isinstance(data, dict) else None


class _NoLink(Exception):
    """NocoBase builds no link."""


def reason_of(answer: Mapping[str, Any] | None) -> str | None:
    """The reason in an error of NocoBase 3; None if it is not one."""
    error = (answer or {}).get("error")
    reason = error.get("reason") if isinstance(error, dict) else None
    return reason if isinstance(reason, str) and reason.isascii() and reason.replace("_", "").isalnum() else None
