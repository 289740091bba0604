"""A preview by an identity that may only read, as bootstrap makes one: what it shows, and what it needs."""

from __future__ import annotations

import os
from typing import Any

import pytest

from provisioning.entra.ownership import Wanted
from provisioning.entra.scopes import MICROSOFT_GRAPH
from provisioning.errors import DirectoryUnreadable
from provisioning.program import stack
from provisioning.program.caller import Caller
from provisioning.program.last_state import Deployed
from provisioning.program.owners import deployer_not_shown, plan_ownership, previews_without_rights
from provisioning.program.settings import Settings
from sandbox.azuread import resource as resource_type
from sandbox.entra import identity
from tests.contract import in_process
from tests.contract.model_engine import ModelEngine, StepFailed
from tests.provisioning.doctor.test_account import token
from tests.provisioning.entra.conftest import certificates, entra, entra_server, tenant
from tests.provisioning.program.test_application import FOR_USERS, ME, SETTINGS, changes, declare, engine
from tests.sandbox.entra.service import Service

__all__ = ["certificates", "entra", "entra_server", "tenant"]

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

READ_APPLICATIONS, READ_DIRECTORY = "Application.Read.All", "Directory.Read.All"


@pytest.fixture(autouse=True)
def short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is polled is believed at once."""
    monkeypatch.setattr(resource_type, "POLLS", 1)


def reader(tenant: Service, monkeypatch: pytest.MonkeyPatch, *permissions: str) -> Caller:
    """Another application, with these permissions: it signs in from now on."""
    administrator = identity.ADMINISTRATOR_OBJECT_ID
    made = tenant.directory.create_application({"displayName": "previews"}, administrator, [])
    principal = tenant.directory.create_service_principal({"appId": made["appId"]}, administrator, [])["id"]
    graph = tenant.directory.by_app_id("servicePrincipals", MICROSOFT_GRAPH) or {}
    roles = {role["value"]: role["id"] for role in graph["appRoles"]}
    for permission in permissions:
        key = {"principalId": principal, "resourceId": graph["id"], "appRoleId": roles[permission]}
        tenant.directory.assign_app_role(key)
    secret = tenant.directory.add_password(made["id"], {}, administrator)["secretText"]
    monkeypatch.setenv("ARM_CLIENT_ID", made["appId"])
    monkeypatch.setenv("ARM_CLIENT_SECRET", secret)
    return Caller(principal, identity.TENANT_ID, application=True)


def program(caller: Caller, settings: Settings = FOR_USERS) -> None:
    """What `__main__.py` declares in Entra ID, for whoever calls."""
    last = stack.last_state()
    wanted = Wanted(None if previews_without_rights(caller, last) else caller.object_id)
    owners, principal_owners, _ = plan_ownership(wanted, last)
    declare(settings, caller, owners, principal_owners, preview=True)


def by_reader(deployed: ModelEngine) -> ModelEngine:
    """The same stack, with the provider signed in anew."""
    made = ModelEngine(in_process.provider(dict(os.environ)), deployed.project, deployed.stack)
    made.records = deployed.records
    return made


@pytest.mark.parametrize(
    ("settings", "permissions"),
    [(FOR_USERS, [READ_APPLICATIONS]), (SETTINGS, [READ_APPLICATIONS, READ_DIRECTORY])],
)
def test_it_reads_and_shows_what_the_deployer_would_change(
    tenant: Service, monkeypatch: pytest.MonkeyPatch, settings: Settings, permissions: list[str]
) -> None:
    made = engine()
    deployer = Caller(ME, identity.TENANT_ID, application=True)
    made.up(lambda: program(deployer, settings))
    caller = reader(tenant, monkeypatch, *permissions)
    preview = by_reader(made)
    tenant.take_requests()

    preview.preview(lambda: program(caller, settings))
    assert preview.steps == []
    renamed = settings.model_copy(update={"application_name": "renamed"})
    preview.preview(lambda: program(caller, renamed))
    assert preview.steps == [("update", "mail")]
    preview.refresh()
    assert changes(tenant) == []

    with pytest.raises(StepFailed, match="403"):
        preview.up(lambda: program(caller, renamed))


def test_it_shows_a_first_deployment_without_itself_as_an_owner(
    tenant: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = reader(tenant, monkeypatch, READ_APPLICATIONS)
    preview = engine()
    tenant.take_requests()
    preview.preview(lambda: program(caller))
    assert ("create", "mail") in preview.steps
    assert plan_ownership(Wanted(None), Deployed("prod"))[0].object_ids == ()
    assert changes(tenant) == []


def test_it_shows_the_owners_of_a_first_deployment_where_the_settings_name_the_deployer() -> None:
    named, nothing = ("person", "deployer"), Deployed("prod")
    previewed = plan_ownership(Wanted(None, named), nothing)
    assert previewed == plan_ownership(Wanted("deployer", named, application_calls=True), nothing)
    # As many as the policy pack asks for unless told otherwise.
    assert [len(owners.object_ids) for owners in previewed[:2]] == [2, 2]
    told = deployer_not_shown(["person"], "prod")
    assert told.endswith("pulumi config set --stack prod --path 'owners[1]' <its object id>")


def test_a_refresh_of_the_tenants_consent_needs_one_permission_more(
    tenant: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine()
    made.up(lambda: program(Caller(ME, identity.TENANT_ID, application=True), SETTINGS))
    reader(tenant, monkeypatch, READ_APPLICATIONS)
    with pytest.raises(StepFailed, match="Insufficient privileges"):
        by_reader(made).refresh()


@pytest.mark.parametrize(
    ("roles", "dry", "application", "expected"),
    [
        ([READ_APPLICATIONS], True, True, True),
        ([], True, True, True),
        (["Application.ReadWrite.OwnedBy"], True, True, False),
        ([READ_APPLICATIONS], False, True, False),
        ([READ_APPLICATIONS], True, False, False),
    ],
)
def test_which_preview_is_one(
    monkeypatch: pytest.MonkeyPatch, roles: list[str], dry: bool, application: bool, expected: bool
) -> None:
    from provisioning.entra import microsoft_graph  # noqa: PLC0415 - a second of imports

    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: dry)
    monkeypatch.setattr(microsoft_graph, "caller_token", lambda: token({"idtyp": "app", "roles": roles}))
    found = previews_without_rights(Caller("me", "tenant", application), Deployed("prod"))
    assert found is expected

    def unreadable() -> Any:
        raise DirectoryUnreadable("x", "no answer")

    monkeypatch.setattr(microsoft_graph, "caller_token", unreadable)
    assert previews_without_rights(Caller("me", "tenant", application), Deployed("prod")) is False
