"""What `show` says where there is nothing to show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import deployment, holdings, processes
from sandbox.errors import SandboxError
from sandbox.place import default_place


@pytest.mark.parametrize("outputs", [{}, {"clientId": "gone"}])
def test_a_stack_that_was_destroyed_is_told(outputs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "outputs", lambda _: outputs)
    monkeypatch.setattr(holdings, "entra", lambda _: {"applications": [{"appId": "somebody else's"}]})
    with pytest.raises(SandboxError, match="no application"):
        holdings.summary(default_place())


def test_a_sandbox_that_does_not_run_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = replace(default_place(), home=tmp_path)
    monkeypatch.setattr(holdings, "load_record", lambda _: SimpleNamespace(entra_port=processes.free_port()))
    with pytest.raises(SandboxError, match="does not run"):
        holdings.entra(place)


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"provedClientId": "own", "redirectUri": "http://localhost/x"}, "yes: NocoBase's sign-in link"),
        ({"provedClientId": "own", "redirectUri": "http://localhost/new"}, "yes: NocoBase's sign-in link"),
        ({"provedClientId": "other", "redirectUri": "http://localhost/x"}, "NO: NocoBase's sign-in link names other"),
        ({"redirectUri": "http://localhost/x"}, "NO: NocoBase's sign-in link names no client ID"),
        ({"provedClientId": "own", "redirectUri": "http://localhost/y"}, "NO: http://localhost/y, which NocoBase's"),
        ({"provedClientId": "own"}, "NO: no redirect URI, which NocoBase's"),
        ({}, "not verified: nocobaseMapping.verifyAction is none"),
    ],
)
def test_what_nocobase_proved_is_told(link: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    application = {
        "appId": "own",
        "signInAudience": "AzureADMyOrg",
        "web": {"redirectUris": ["http://localhost/x", "http://localhost/new"]},
        "passwordCredentials": [{"displayName": "a"}],
        "requiredResourceAccess": [{"resourceAccess": []}],
    }
    outputs = {"clientId": "own", "tenantId": "t", "clientSecretExpiry": "2027-01-01T00:00:00Z", **link}
    monkeypatch.setattr(deployment, "outputs", lambda _: outputs)
    monkeypatch.setattr(holdings, "entra", lambda _: {"applications": [application]})
    table = holdings.summary(default_place())
    shown = dict(zip(table.columns[0].cells, table.columns[1].cells, strict=True))
    assert str(shown["Proved"]).startswith(said)
    assert shown["Redirect URI"] == link.get("redirectUri", "http://localhost/x")
