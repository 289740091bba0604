"""A connection to a NocoBase of any version: opened with its login, patient, and without secrets in what it raises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from provisioning import errors
from provisioning.connections import transport
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase.request_errors import TIMEOUT_SECONDS, not_a_url, unforeseen
from provisioning.nocobase.retry import Patience, TryAgain


class Connection:
    """A connection to the NocoBase at `url`, on which no request was sent yet; use it in a `with` statement.

    patience: how long to wait for one that is unreachable or not ready; by default not at all. secrets: what it may
    know besides the login. headers: to send with each request besides the login's. Raises Unreachable if the
    environment's certificates or proxy cannot be used, and NocoBaseError for what is no URL.
    """

    def __init__(
        self,
        url: str,
        login: NocoBaseLogin,
        patience: Patience | None,
        secrets: Iterable[str],
        headers: Mapping[str, str],
    ) -> None:
        self.url = url
        self._login = login
        self._patience = patience or Patience(0)
        self._secrets = set(secrets)
        self._http = _opened(url, {**login.headers, **headers})

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown of its answers."""
        return (*self._login.secrets, *self._secrets)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections. Raises every error within as a ProvisioningError without secrets."""
        self._http.close()
        if isinstance(error, errors.NocoBaseError):
            raise error.redacted(self.secrets) from None
        if isinstance(error, Exception) and not isinstance(error, errors.ProvisioningError):
            raise unforeseen(self.url, error) from None

    def _patiently(self, attempt: Callable[[], Any], is_up: Callable[[], bool]) -> Any:
        """What `attempt` answers, made again as long as it may succeed later and the patience lasts."""
        try:
            return attempt()
        except TryAgain as failure:
            return self._patience.repeat(attempt, failure, is_up)


def _opened(url: str, headers: Mapping[str, str]) -> httpx.Client:
    try:
        return httpx.Client(headers=headers, timeout=TIMEOUT_SECONDS, transport=transport(url), trust_env=False)
    except (errors.ProxyUnusable, errors.CertificatesUnusable) as error:
        what = f"No request can be sent to NocoBase at {url}"
        raise errors.Unreachable(what, "a variable of the environment prevents it", str(error)) from None
    except httpx.InvalidURL:
        raise not_a_url(url) from None
