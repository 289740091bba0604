"""Asks the sandbox's token endpoint, as NocoBase would, whether it accepts a client secret."""

from __future__ import annotations

import ssl
import threading
from types import TracebackType
from typing import Self

import httpx

from sandbox.certificates import certificates
from sandbox.entra import identity
from sandbox.nocobase import server
from sandbox.place import Place
from sandbox.setup import load_record

PAUSE_SECONDS = 0.1


class TokenEndpoint:
    """The endpoint of the tenant."""

    def __init__(self, place: Place) -> None:
        self._base = f"https://localhost:{load_record(place).entra_port}"
        self._client = httpx.Client(
            verify=ssl.create_default_context(cafile=certificates(place).bundle), trust_env=False, timeout=30
        )

    def requests(self) -> list[str]:
        """Method and path of what came to Entra ID, over a connection that is kept."""
        seen = self._client.get(f"{self._base}/_sandbox/requests").raise_for_status().json()["value"]
        return [f"{one['method']} {one['path']}" for one in seen]

    def accepts(self, client_id: str, client_secret: str) -> bool:
        """Whether a token is given for the secret."""
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "scope": f"{self._base}/.default",
        }
        return self._client.post(f"{self._base}/{identity.TENANT_ID}/oauth2/v2.0/token", data=form).is_success

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class Watch:
    """A thread that asks all the time with whatever NocoBase holds; use it in a `with` statement.

    What NocoBase no longer holds when the answer comes is not counted if it was refused.

    asks: how many questions were answered. refused: when (of `moments`) one was refused.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._endpoint = TokenEndpoint(place)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.asks = 0
        self.refused: list[str] = []
        self.error: Exception | None = None
        self.moment = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._endpoint.close()

    def _watch(self) -> None:
        try:
            while not self._ended.wait(PAUSE_SECONDS):
                self._ask()
        except Exception as error:
            self.error = error

    def _ask(self) -> None:
        held = self._held()
        if held is None:
            return
        accepted = self._endpoint.accepts(*held)
        if accepted or held == self._held():
            self.asks += 1
            if not accepted:
                self.refused.append(self.moment)

    def _held(self) -> tuple[str, str] | None:
        row = server.mail_settings_row(self._place)
        return (row["clientId"], row["clientSecret"]) if row and row["clientSecret"] else None
