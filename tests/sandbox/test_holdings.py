"""What `show` says where there is nothing to show."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from provisioning.cli.common import Format, Plain, show
from provisioning.entra.permissions import of_scopes
from provisioning.entra.scopes import DEFAULT_SCOPES
from sandbox import deployment, holdings, processes
from sandbox.errors import SandboxError
from sandbox.place import default_place
from tests.golden import check
from tests.pages import page

GOLDEN = Path(__file__).parent / "golden"


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
    shown = holdings.summary(default_place())
    assert shown["Proved"].startswith(said)
    assert shown["Redirect URI"] == link.get("redirectUri", "http://localhost/x")


@pytest.mark.parametrize("columns", ["80", "120", "piped"])
def test_the_result_of_make_up(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client_id, uri = "f18bb267-19b5-4e34-9867-b7a5ed8d2ff3", "http://localhost:13000/admin/settings/mail/oauth2"
    application = {
        "appId": client_id,
        "signInAudience": "AzureADandPersonalMicrosoftAccount",
        "web": {"redirectUris": [uri]},
        "passwordCredentials": [{"displayName": "NocoBase mail a 2026-11-21"}],
        "requiredResourceAccess": [{"resourceAccess": [{"id": one.id} for one in of_scopes(DEFAULT_SCOPES)]}],
    }
    outputs = {
        "clientId": client_id,
        "provedClientId": client_id,
        "tenantId": "11111111-1111-1111-1111-111111111111",
        "clientSecretExpiry": "2027-05-20T00:00:00Z",
        "redirectUri": uri,
    }
    monkeypatch.setattr(deployment, "outputs", lambda _: outputs)
    monkeypatch.setattr(holdings, "entra", lambda _: {"applications": [application]})
    monkeypatch.setattr(holdings, "nocobase_url", lambda _: "http://localhost:13000")
    if columns.isdigit():
        monkeypatch.setattr(Plain, "is_terminal", True)
        monkeypatch.setenv("COLUMNS", columns)
    show(holdings.summary(default_place(), datetime(2026, 11, 21, 12, tzinfo=UTC)), Format.TABLE)
    shown = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)
    check(GOLDEN / f"summary-{columns}.txt", shown)
    assert columns != "80" or shown in page("README.md").text
