"""What lets nobody sign in, although everything seems to be in place: never green."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stack, graph

pytestmark = pytest.mark.e2e

REMEDY = "pulumi config set audience AzureADMultipleOrgs"


def test_a_first_deployment_whose_audience_the_link_does_not_serve_fails(stack: Stack) -> None:
    stack.set("audience", "AzureADMyOrg")
    said = stack.up(ok=False)
    assert "AADSTS50194" in said
    assert REMEDY in said
    assert stack.credentials == ("", "")

    stack.set("audience", "AzureADMultipleOrgs")
    stack.up()
    assert stack.credentials == (stack.outputs["clientId"], stack.outputs["clientSecret"])


def test_an_audience_that_the_link_does_not_serve_changes_nothing(deployed: Stack) -> None:
    deployed.set("audience", "AzureADMyOrg")
    said = deployed.up(ok=False)
    assert "AADSTS50194" in said
    assert REMEDY in said
    assert "Traceback" not in said
    (application,) = deployed.applications
    assert application["signInAudience"] == "AzureADandPersonalMicrosoftAccount"


def test_what_was_disabled_and_removed_by_hand_is_put_back(deployed: Stack) -> None:
    (application,) = deployed.applications
    path, callback, tags = f"/applications/{application['id']}", application["web"]["redirectUris"], application["tags"]
    principal = f"/servicePrincipals(appId='{application['appId']}')"
    principal = f"/servicePrincipals/{graph(deployed, 'GET', principal)['id']}"
    theirs = ["https://theirs.example.com/"]
    moved = {"web": {"redirectUris": []}, "spa": {"redirectUris": [*callback, *theirs]}}
    graph(deployed, "PATCH", path, {**moved, "tags": ["theirs"]})
    graph(deployed, "PATCH", principal, {"accountEnabled": False})
    deployed.up()
    (application,) = deployed.applications
    assert (application["web"]["redirectUris"], application["spa"]["redirectUris"]) == (callback, theirs)
    assert set(application["tags"]) == {*tags, "theirs"}
    assert graph(deployed, "GET", principal)["accountEnabled"] is True
