"""What the token endpoint's silence and its answers mean for a new client secret."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import HttpTransport
from azure.identity import ClientSecretCredential

from provisioning.entra import token_check
from provisioning.errors import SecretRejected


class Silent(HttpTransport[Any, Any]):
    """A network that answers nothing."""

    def __init__(self) -> None:
        self.asked = 0

    def send(self, request: Any, **_: Any) -> Any:
        """Count the request and fail as requests does."""
        self.asked += 1
        raise ServiceRequestError("connection refused")

    def open(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Silent:
    """A credential of azure-identity that gets no answer; its own retries are left out, as they take seconds."""
    transport = Silent()

    def credential(*arguments: str) -> ClientSecretCredential:
        return ClientSecretCredential(*arguments, disable_instance_discovery=True, transport=transport, retry_total=0)

    monkeypatch.setattr(token_check, "_credential", credential)
    return transport


def test_silence_is_waited_for(silent: Silent) -> None:
    with pytest.raises(SecretRejected, match=r"no answer.*doctor --network-only"):
        token_check.wait_until_accepted("11111111-1111-1111-1111-111111111111", "client", "the~secret", patience=1)
    assert silent.asked >= 2


def test_silence_is_told_as_what_it_is(silent: Silent) -> None:
    found = token_check.rejection("11111111-1111-1111-1111-111111111111", "client", "the~secret")
    assert found == token_check.Rejection("no answer", token_check.NETWORK)
