"""A stack's whole life on the real engine and the real NocoBase."""

from __future__ import annotations

import pytest

from sandbox.nocobase import server
from sandbox.place import Place
from tests.e2e.conftest import Stack, graph

pytestmark = pytest.mark.e2e

VOLATILE = {"clientId", "clientSecret", "updatedAt", "updatedById"}
"""The fields of the Microsoft row that a push may change."""


def scopes(stack: Stack) -> int:
    (application,) = stack.applications
    return len(application["requiredResourceAccess"][0]["resourceAccess"])


def test_create_no_change_change_drift_refresh_destroy(stack: Stack) -> None:
    other_fields = {key: value for key, value in stack.row.items() if key not in VOLATILE}

    # Create: both sides agree, and NocoBase's own sign-in link was the proof.
    stack.up()
    outputs = stack.outputs
    (application,) = stack.applications
    assert application["appId"] == outputs["clientId"] == outputs["provedClientId"]
    assert application["web"]["redirectUris"] == [outputs["redirectUri"]]
    assert application["signInAudience"] == "AzureADandPersonalMicrosoftAccount"
    assert scopes(stack) == 5
    assert stack.credentials == (outputs["clientId"], outputs["clientSecret"])
    assert outputs["adminConsentUrl"].endswith(f"{outputs['tenantId']}/adminconsent?client_id={outputs['clientId']}")

    # No change: nothing is written anywhere.
    before = stack.row
    assert "unchanged" in stack.up("--expect-no-changes")
    assert stack.row == before

    # Scopes and name: an update in place, the secret stays.
    stack.set("applicationName", "NocoBase mail, renamed")
    stack.set("scopes[0]", "Mail.Read", path=True)
    stack.up()
    (application,) = stack.applications
    assert application["displayName"] == "NocoBase mail, renamed"
    assert scopes(stack) == 1
    assert stack.outputs["clientSecret"] == outputs["clientSecret"]

    # Drift in NocoBase: seen and repaired by a plain `up`.
    row_id = str(stack.row["id"])
    stack.nocobase("mailSettings:update", {"clientId": "changed by hand"}, filterByTk=row_id)
    stack.pulumi("preview", "--expect-no-changes", ok=False)
    stack.up()
    assert stack.credentials == (outputs["clientId"], outputs["clientSecret"])

    # Drift on both sides: seen by refresh, repaired by the next `up`.
    stack.nocobase("mailSettings:update", {"clientId": "changed", "clientSecret": "by hand"}, filterByTk=row_id)
    graph(stack, "PATCH", f"/applications/{outputs['objectId']}", {"displayName": "changed by hand"})
    assert "2 updated" in stack.pulumi("refresh", "--yes")
    stack.up()
    (application,) = stack.applications
    assert application["displayName"] == "NocoBase mail, renamed"
    assert stack.credentials == (outputs["clientId"], outputs["clientSecret"])
    stack.up("--expect-no-changes")

    # Destroy: nothing is left, and everything else in NocoBase is as it was.
    stack.pulumi("destroy", "--yes")
    assert stack.applications == []
    assert stack.credentials == ("", "")
    assert {key: value for key, value in stack.row.items() if key not in VOLATILE} == other_fields


def test_a_deleted_row_is_made_again(stack: Stack) -> None:
    stack.up()
    outputs = stack.outputs
    stack.nocobase("mailSettings:destroy", {}, filterByTk=str(stack.row["id"]))
    stack.pulumi("refresh", "--yes")
    stack.up()
    assert stack.credentials == (outputs["clientId"], outputs["clientSecret"])


def test_destroy_leaves_credentials_that_somebody_else_put_there(stack: Stack) -> None:
    stack.up()
    theirs = {"clientId": "their-id", "clientSecret": "their-secret"}
    stack.nocobase("mailSettings:update", theirs, filterByTk=str(stack.row["id"]))
    assert "other credentials" in stack.pulumi("destroy", "--yes")
    assert stack.credentials == ("their-id", "their-secret")
    assert stack.applications == []


def test_consent_for_the_tenant_is_declared_and_withdrawn(stack: Stack) -> None:
    from sandbox import holdings  # noqa: PLC0415

    stack.set("consent", "tenant")
    stack.up()
    (grant,) = holdings.entra(stack.place)["oauth2PermissionGrants"]
    assert set(grant["scope"].split()) == {
        "email",
        "offline_access",
        "IMAP.AccessAsUser.All",
        "SMTP.Send",
        "User.Read",
    }
    stack.set("consent", "user")
    stack.up()
    assert holdings.entra(stack.place)["oauth2PermissionGrants"] == []


def test_no_secret_in_state_logs_or_output(stack: Stack, place: Place) -> None:
    stack.up("--diff")
    stack.up()
    stack.pulumi("preview", "--diff", "--json")
    stack.pulumi("refresh", "--yes", "--diff")
    stack.pulumi("stack", "export")
    wrong = {"NOCOBASE_API_KEY": "wrong-key-of-the-test"}
    stack.up(ok=False, extra=wrong)
    secrets = [stack.outputs["clientSecret"], server.api_key(place), "wrong-key-of-the-test"]
    texts = {"output": "\n".join(stack.said), "state": stack.state_file.read_text()}
    files = [path for folder in (place.logs, place.pulumi_home) for path in folder.rglob("*") if path.is_file()]
    texts |= {path.name: path.read_text(errors="replace") for path in files}
    # The client id is no secret: that it is found everywhere shows that the search works.
    client_id = stack.outputs["clientId"]
    assert client_id in texts["output"]
    assert client_id in texts["state"]
    hits = [(name, secret[:4]) for name, text in texts.items() for secret in secrets if secret in text]
    assert hits == []
