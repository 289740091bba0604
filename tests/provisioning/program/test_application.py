"""The application's life on the stand-ins, without the engine: whatever goes wrong at any change, the next run resumes.

The model of the engine is `tests/contract/model_engine.py`; of NocoBase there is nothing here.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pulumi_azuread as azuread
import pytest

from provisioning.ending import Ended
from provisioning.entra.ownership import Owners, Wanted
from provisioning.entra.rules import Audience
from provisioning.entra.scopes import MICROSOFT_GRAPH
from provisioning.program import prepare, redirect_uris, stack, validation
from provisioning.program.application import MailApplication
from provisioning.program.audience import AudiencePlan
from provisioning.program.caller import Caller
from provisioning.program.client_secrets import PlanInputs, plan_run
from provisioning.program.last_state import Deployed, read_state
from provisioning.program.owners import plan_ownership, without_gone
from provisioning.program.prepare import plan_consent
from provisioning.program.run import ApplicationPlan, Own, Run
from provisioning.program.settings import Settings
from provisioning.program.undeclared import OF_APPLICATION, OF_PRINCIPAL
from provisioning.resource_types import APPLICATION_TYPE, GRANT_TYPE, PRINCIPAL_TYPE, STACK_TYPE
from sandbox.azuread import resource as resource_type
from sandbox.entra import identity
from tests.contract import in_process
from tests.contract.model_engine import ModelEngine, StepFailed
from tests.figures import Say
from tests.provisioning import checkpoints
from tests.provisioning.entra.conftest import certificates, entra, entra_server, tenant
from tests.sandbox.entra.service import Service

__all__ = ["certificates", "entra", "entra_server", "tenant"]

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

Json = dict[str, Any]
ME = identity.DEPLOYER_OBJECT_ID
COLLEAGUE, OTHER = sorted(identity.PEOPLE)[:2]
NOBODYS = Own()
NEW = "5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a99"
NOW = datetime(2027, 1, 1, tzinfo=UTC)
VALUES = {"nocobaseUrl": "https://nocobase.example.com", "consent": "tenant", "nocobaseApiKey": "key"}
SETTINGS = validation.load(VALUES, {"nocobaseApiKey"})[0]
FOR_USERS = validation.load({**VALUES, "consent": "user"}, {"nocobaseApiKey"})[0]
WHOLE = {"applications": 1, "servicePrincipals": 1, "oauth2PermissionGrants": 1, "secrets": 1}
LOST, UNAVAILABLE = "the answer is lost", "503 after the change"
FAULTS: dict[str, Json] = {
    LOST: {"drop": True, "after": True},
    UNAVAILABLE: {"status": 503, "after": True, "headers": {"Retry-After": "0"}},
}


SCOPE = {"id": "1b19509b-32b1-4e9f-b71d-4992aa991968", "isEnabled": True, "type": "User", "value": "read"}
ROLE = {
    "id": "1b19509b-32b1-4e9f-b71d-4992aa991967",
    "allowedMemberTypes": ["User"],
    "description": "May administer",
    "displayName": "Administrator",
    "isEnabled": True,
    "value": "administrator",
}
VERSION = "requestedAccessTokenVersion"


def below(block: str) -> tuple[str, ...]:
    """The undeclared properties within a block of the application."""
    return tuple(name.removeprefix(f"{block}.") for name in OF_APPLICATION if name.startswith(f"{block}."))


def camel(name: str) -> str:
    """A property's name in the engine."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def declare(
    settings: Settings,
    caller: Caller,
    owners: Owners,
    principal_owners: Owners,
    preview: bool,
    audience: Audience | None = None,
    own: Own = NOBODYS,
) -> None:
    """What `__main__.py` declares in Entra ID, with a secret for each state that has none.

    audience, own: see `ApplicationPlan`; the audience by default that of the settings.
    """
    last = stack.last_state()
    inputs = PlanInputs(
        object_id=last.object_id,
        last=last.secrets_for(()),
        now=NOW,
        policy=settings.rotation_policy,
        two_at_most=settings.audience.personal,
        preview=preview,
        awaiting_deletion=frozenset,
        why_maybe_in_use=lambda _: (),
    )
    secrets, _ = plan_run(inputs)
    consent = plan_consent(settings, last)
    tags = prepare.own_tags(settings, last)
    plan = ApplicationPlan(
        audience=audience or settings.audience,
        redirect_uris=settings.redirect_uris,
        other_platforms=redirect_uris.misplaced(settings.redirect_uris, last),
        tags=tags,
        owners=owners,
        principal_owners=principal_owners,
        own=own,
        consent=consent,
    )
    MailApplication("mail", Run(settings=settings, caller=caller, application=plan, secrets=secrets))


def program(
    settings: Settings = SETTINGS,
    owners: tuple[Owners, Owners] = (Owners((ME,)), Owners((ME,))),
    audience: Audience | None = None,
    own: Own = NOBODYS,
) -> None:
    """The same by the deployer. owners: of the application and of its service principal."""
    caller = Caller(ME, identity.TENANT_ID, application=True)
    declare(settings, caller, *owners, preview=False, audience=audience, own=own)


def program_for_two_owners() -> None:
    """The same with an owner whom the setting `owners` names."""
    program(FOR_USERS, plan_ownership(Wanted(ME, [COLLEAGUE]), stack.last_state())[:2])


def program_for_users() -> None:
    """The same with the setting `consent` at its default."""
    program(FOR_USERS)


def engine() -> ModelEngine:
    """A new stack."""
    return ModelEngine(in_process.provider(dict(os.environ)), "nocobase-outlook", "prod")


def held(service: Service) -> dict[str, int]:
    """How much the tenant holds of each kind."""
    found = service.directory.snapshot()
    secrets = sum(len(application["passwordCredentials"]) for application in found["applications"])
    return {**{kind: len(found[kind]) for kind in WHOLE if kind in found}, "secrets": secrets}


def changes(service: Service) -> list[str]:
    """The changing requests since the last call."""
    seen = service.take_requests()
    return [f"{one['method']} {one['path']}" for one in seen if one["method"] != "GET" and "/token" not in one["path"]]


@pytest.fixture(autouse=True)
def short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is polled is believed at once."""
    monkeypatch.setattr(resource_type, "POLLS", 1)


def test_made_unchanged_and_unmade(tenant: Service) -> None:
    made = engine()
    made.up(program)
    assert held(tenant) == WHOLE
    made.up(program)
    assert made.steps == []
    tenant.take_requests()
    made.destroy()
    # Everything else goes with the application.
    (deleted,) = changes(tenant)
    assert deleted.startswith("DELETE /v1.0/applications/")
    assert held(tenant) == dict.fromkeys(WHOLE, 0)


def test_what_somebody_removed_by_hand_does_not_stop_the_end(tenant: Service) -> None:
    made = engine()
    made.up(program)
    (principal,) = tenant.directory.snapshot()["servicePrincipals"]
    tenant.directory.delete_service_principal(principal["id"], ME)
    made.destroy()
    assert held(tenant) == dict.fromkeys(WHOLE, 0)


def test_a_stack_of_an_earlier_version_is_not_changed(tenant: Service) -> None:
    made = engine()
    made.up(program)
    for record in made.records.values():
        record.inputs.pop("useExisting", None)
        if "useExisting" in record.outputs:
            record.outputs["useExisting"] = None
    made.up(program)
    assert made.steps == []


BY_HAND: Json = {
    "api": {"knownClientApplications": [ME], "acceptMappedClaims": True, "oauth2PermissionScopes": [SCOPE]},
    "appRoles": [ROLE],
    "description": "by hand",
    "groupMembershipClaims": "SecurityGroup",
    "identifierUris": ["api://by-hand"],
    "info": {
        "marketingUrl": "https://a.example.com",
        "privacyStatementUrl": "https://b.example.com",
        "supportUrl": "https://c.example.com",
        "termsOfServiceUrl": "https://d.example.com",
    },
    "isDeviceOnlyAuthSupported": True,
    "isFallbackPublicClient": True,
    "notes": "by hand",
    "optionalClaims": {"idToken": [{"name": "email", "essential": True, "additionalProperties": []}]},
    "publicClient": {"redirectUris": ["myapp://auth"]},
    "serviceManagementReference": "SVC-1",
    # The provider would reject it as an input.
    "spa": {"redirectUris": ["https://spa.example.com"]},
    "web": {
        "homePageUrl": "https://e.example.com",
        "implicitGrantSettings": {"enableIdTokenIssuance": True},
        "logoutUrl": "https://f.example.com/out",
    },
}
PRINCIPAL_BY_HAND: Json = {
    "alternativeNames": ["by hand"],
    "appRoleAssignmentRequired": True,
    "description": "by hand",
    "loginUrl": "https://login.example.com",
    "notes": "by hand",
    "notificationEmailAddresses": ["it@example.com"],
    "preferredSingleSignOnMode": "oidc",
    "samlSingleSignOnSettings": {"relayState": "https://g.example.com"},
    "tags": ["HideApp"],
}


def shows(item: Json, wanted: Json) -> bool:
    """Whether an object has all of `wanted`, at every depth."""
    return all(
        shows(item.get(key) or {}, value)
        if isinstance(value, dict)
        else [shows(one, other) for one, other in zip(item.get(key) or [], value, strict=True)] == [True] * len(value)
        if isinstance(value, list) and value and isinstance(value[0], dict)
        else item.get(key) == value
        for key, value in wanted.items()
    )


def change_by_hand(service: Service) -> None:
    """What people may set, set in both objects."""
    found = service.directory.snapshot()
    service.directory.update_application(found["applications"][0]["id"], BY_HAND, ME)
    service.directory.update_service_principal(found["servicePrincipals"][0]["id"], PRINCIPAL_BY_HAND, ME)


@pytest.mark.parametrize("how", ["created", "imported"])
def test_what_is_not_declared_is_not_touched_and_what_is_any_run_puts_right(tenant: Service, how: str) -> None:
    made = engine()
    made.up(program_for_users)
    change_by_hand(tenant)
    if how == "imported":
        for record in made.records.values():
            if record.type in (APPLICATION_TYPE, PRINCIPAL_TYPE):
                found = made.read_anew(record)
                # `adopt` rejects it: see above.
                found.pop("singlePageApplication", None)
                record.inputs = found
    made.up(program_for_users)
    assert made.steps == []

    found = tenant.directory.snapshot()
    tenant.directory.update_application(
        found["applications"][0]["id"],
        {"displayName": "by hand", "signInAudience": "AzureADMultipleOrgs", "web": {"redirectUris": []}},
        ME,
    )
    tenant.directory.update_service_principal(found["servicePrincipals"][0]["id"], {"accountEnabled": False}, ME)
    made.up(program_for_users)
    assert sorted(made.steps) == [("update", "mail"), ("update", "mail")]
    found = tenant.directory.snapshot()
    (application,), (principal,) = found["applications"], found["servicePrincipals"]
    assert (application["displayName"], application["signInAudience"]) == ("NocoBase mail", SETTINGS.audience.value)
    assert application["web"]["redirectUris"] == list(SETTINGS.redirect_uris)
    assert principal["accountEnabled"] is True
    assert shows(application, BY_HAND)
    assert shows(principal, PRINCIPAL_BY_HAND)
    made.up(program_for_users)
    assert made.steps == []


def test_the_stacks_tag_comes_back_beside_those_of_others(tenant: Service) -> None:
    made = engine()
    made.up(program_for_users)
    (application,) = tenant.directory.snapshot()["applications"]
    (own,) = application["tags"]
    tenant.directory.update_application(application["id"], {"tags": [own, "theirs"]}, ME)
    made.up(program_for_users)
    assert made.steps == []
    tenant.directory.update_application(application["id"], {"tags": ["theirs", "new"]}, ME)
    made.preview(program_for_users)
    assert made.steps == [("update", "mail")]
    made.up(program_for_users)
    assert made.steps == [("update", "mail")]
    assert set(tenant.directory.snapshot()["applications"][0]["tags"]) == {own, "theirs", "new"}
    made.up(program_for_users)
    assert made.steps == []


def test_the_stacks_owners_come_back_and_those_of_others_stay_as_they_are(tenant: Service) -> None:
    made = engine()
    made.up(program_for_two_owners)
    found = tenant.directory.snapshot()
    objects = [found["applications"][0]["id"], found["servicePrincipals"][0]["id"]]
    kinds = dict(zip(objects, ("applications", "servicePrincipals"), strict=True))

    def owners() -> list[set[str]]:
        return [{one["id"] for one in tenant.directory.owners(kind, it)} for it, kind in kinds.items()]

    assert owners() == [{ME, COLLEAGUE}] * 2
    for identifier, kind in kinds.items():
        tenant.directory.add_owner(kind, identifier, OTHER, ME)
        tenant.directory.remove_owner(kind, identifier, COLLEAGUE, ME)
    made.preview(program_for_two_owners)
    assert made.steps == [("update", "mail"), ("update", "mail")]
    made.up(program_for_two_owners)
    assert owners() == [{ME, COLLEAGUE, OTHER}] * 2
    # Who was added by hand and removed again does not come back with another.
    for identifier, kind in kinds.items():
        tenant.directory.remove_owner(kind, identifier, OTHER, ME)
    made.up(program_for_two_owners)
    assert made.steps == []
    for identifier, kind in kinds.items():
        tenant.directory.remove_owner(kind, identifier, COLLEAGUE, ME)
    made.up(program_for_two_owners)
    assert owners() == [{ME, COLLEAGUE}] * 2
    made.up(program_for_two_owners)
    assert made.steps == []


def test_what_entra_id_does_not_tell_of_tags_ends_the_run_with_a_sentence(
    tenant: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine()
    made.up(program_for_users)
    (application,) = tenant.directory.snapshot()["applications"]
    tenant.directory.update_application(application["id"], {"tags": []}, ME)
    tenant.fault(r"GET /v1.0/applications\(appId", status=403)
    monkeypatch.setattr(stack, "configuration", lambda: (VALUES, {"nocobaseApiKey"}))
    monkeypatch.setattr(prepare, "ask_nocobase", lambda *_: [])

    def program_of_main() -> None:
        prepare.prepare(stack.last_state())

    with pytest.raises(Ended, match="403"):
        made.up(program_of_main)


def test_what_the_audience_that_stays_forbids_ends_the_run_before_a_change(
    tenant: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {**VALUES, "audience": "AzureADMyOrg", "redirectUris": '["https://nocobase.example.com/*"]'}
    waiting = AudiencePlan(Audience.ANY_TENANT_AND_PERSONAL, ("https://nocobase.example.com",))
    monkeypatch.setattr(stack, "configuration", lambda: (values, {"nocobaseApiKey"}))
    monkeypatch.setattr(prepare, "ask_nocobase", lambda *_: [])
    monkeypatch.setattr("provisioning.program.audience.plan_of", lambda *_: waiting)

    def program_of_main() -> None:
        prepare.prepare(stack.last_state())

    with pytest.raises(Ended, match="The audience stays"):
        engine().up(program_of_main)
    assert tenant.directory.snapshot()["applications"] == []


def test_an_owner_who_has_left_the_tenant_stops_no_run(tenant: Service) -> None:
    left = tenant.directory.create_application({"displayName": "pipeline"}, ME, [])
    pipeline = tenant.directory.create_service_principal({"appId": left["appId"]}, ME, [])["id"]
    said: list[str] = []
    new: list[Wanted] = []

    def declared() -> None:
        last = stack.last_state()
        wanted, said[:] = without_gone(Wanted(ME, [pipeline]), last)
        own = Own((), wanted.always, frozenset({pipeline} - {*wanted.named}))
        program(FOR_USERS, plan_ownership(wanted, last)[:2], own=own)

    made = engine()
    made.up(declared)
    assert said == []
    tenant.directory.delete_service_principal(pipeline, ME)
    for _ in range(2):
        made.up(declared)
        assert made.steps == []
        assert said == [
            f"The setting owners names {pipeline}, which this tenant does not have, so it is left out. Take it out of "
            "owners in Pulumi.<stack>.yaml."
        ]
    made.up(lambda: new.append(without_gone(Wanted(ME, [pipeline, NEW]), stack.last_state())[0]))
    # Whom no run has known may be too new to be found.
    assert [wanted.named for wanted in new] == [[NEW]]
    # Whether it is there is asked only of those who are missing; where nobody can say, they are added.
    tenant.take_requests()
    assert without_gone(Wanted(ME, [ME]), Deployed("prod")) == (Wanted(ME, [ME]), [])
    assert tenant.take_requests() == []
    # Of an earlier version's stack it is not known who was an owner.
    earlier = read_state({(APPLICATION_TYPE, "mail"): checkpoints.application()["outputs"]})
    wanted = Wanted(ME, [pipeline])
    left_out, warnings = without_gone(wanted, earlier)
    assert (left_out.named, len(warnings)) == ([], 1)
    assert "If it was made a moment ago, run `pulumi up` again in a minute. Else take it out" in warnings[0]
    tenant.fault("GET /v1.0/directoryObjects", status=403)
    assert without_gone(wanted, earlier) == (wanted, [])


OWN_URI, THEIRS = SETTINGS.redirect_uris[0], "https://theirs.example.com/"


@pytest.mark.parametrize(
    ("moved", "after"),
    [
        (
            {"spa": [OWN_URI, THEIRS], "publicClient": ["myapp://auth"]},
            {"spa": [THEIRS], "publicClient": ["myapp://auth"]},
        ),
        (
            {"spa": [THEIRS], "publicClient": [OWN_URI, "myapp://auth"]},
            {"spa": [THEIRS], "publicClient": ["myapp://auth"]},
        ),
        ({"spa": [OWN_URI], "publicClient": []}, {"spa": [], "publicClient": []}),
        ({"spa": [], "publicClient": [OWN_URI]}, {"spa": [], "publicClient": []}),
    ],
)
def test_a_redirect_uri_that_somebody_moved_to_another_platform_is_moved_back(
    tenant: Service, moved: Json, after: Json
) -> None:
    made = engine()
    made.up(program_for_users)
    (application,) = tenant.directory.snapshot()["applications"]
    platforms = {name: {"redirectUris": uris} for name, uris in {"web": [], **moved}.items()}
    tenant.directory.update_application(application["id"], platforms, ME)
    made.preview(program_for_users)
    assert made.steps == [("update", "mail")]
    tenant.take_requests()
    made.up(program_for_users)
    # Entra ID takes it for one platform only: both change in one request.
    assert changes(tenant) == [f"PATCH /v1.0/applications/{application['id']}"]
    (application,) = tenant.directory.snapshot()["applications"]
    assert {name: application[name]["redirectUris"] for name in platforms} == {"web": [OWN_URI], **after}
    made.up(program_for_users)
    assert made.steps == []


def test_another_version_of_its_own_tokens_stays_where_entra_id_lets_it() -> None:
    for version, audience, stays in ((1, "AzureADMultipleOrgs", True), (2, "AzureADMultipleOrgs", False)):
        resources = {(APPLICATION_TYPE, "mail"): {**checkpoints.application()["outputs"], "api": {VERSION: version}}}
        declared = validation.load({**VALUES, "audience": audience}, {"nocobaseApiKey"})[0]
        assert prepare.keeps_token_version(declared.audience, read_state(resources)) is stays
        assert prepare.keeps_token_version(SETTINGS.audience, read_state(resources)) is False
    assert prepare.keeps_token_version(SETTINGS.audience, read_state({})) is False


def test_the_audience_that_nocobase_needs_stays(tenant: Service) -> None:
    made = engine()
    for kept, registered in ((Audience.ANY_TENANT, "AzureADMultipleOrgs"), (None, SETTINGS.audience.value)):
        made.up(partial(program, audience=kept))
        (application,) = tenant.directory.snapshot()["applications"]
        assert application["signInAudience"] == registered
        (own,) = made.components.values()
        assert own.get("awaitedAudience") == (SETTINGS.audience.value if kept else None)


ONCE = {"password", "preventDuplicateNames", "templateId", "logoImage"}
"""What azuread takes at the creation alone, or sends only where it is declared."""

COMPUTED = {"tags", "features", "featureTags"}
"""What azuread leaves as it is where it is not declared. Tags are declared of the application."""


@pytest.mark.parametrize(
    ("known", "declared", "undeclared"),
    [
        (
            azuread.Application._internal_init,
            {"displayName", "signInAudience", "tags", "owners", "api", "web", "requiredResourceAccesses"},
            OF_APPLICATION,
        ),
        (
            azuread.ServicePrincipal._internal_init,
            {"clientId", "accountEnabled", "useExisting", "owners"},
            OF_PRINCIPAL,
        ),
        (azuread.ApplicationApiArgs.__init__, {"requestedAccessTokenVersion"}, below("api")),
        (azuread.ApplicationWebArgs.__init__, {"redirectUris"}, below("web")),
    ],
)
def test_every_property_that_azuread_knows_is_declared_or_left_alone(
    known: Callable[..., None], declared: set[str], undeclared: Sequence[str]
) -> None:
    names = inspect.signature(known).parameters.keys() - {"self", "__self__", "resource_name", "opts", "__props__"}
    left = {name for name in undeclared if "." not in name}
    assert not declared & left
    assert set(map(camel, names)) - ONCE - COMPUTED == (declared | left) - COMPUTED


def consented(service: Service) -> Json:
    """What an administrator consents to by the address."""
    found = service.directory.snapshot()
    (application,) = found["applications"]
    by_application = {one["appId"]: one["id"] for one in service.directory.objects("servicePrincipals")}
    return service.directory.create_grant(
        {
            "clientId": by_application[application["appId"]],
            "resourceId": by_application[MICROSOFT_GRAPH],
            "consentType": "AllPrincipals",
            "scope": " ".join(SETTINGS.scopes),
        }
    )


def test_a_consent_taken_over_by_a_run_that_failed_later_is_never_withdrawn(tenant: Service) -> None:
    # The model has no outputs of the stack: they are recorded at the end of a run only.
    made = engine()
    made.up(program_for_users)
    given = consented(tenant)
    made.up(program)
    assert made.steps == [("import", "mail-taken-over")]
    made.up(program)
    assert made.steps == []
    made.up(program_for_users)
    assert made.steps == [("delete", "mail-taken-over")]
    assert tenant.directory.objects("oauth2PermissionGrants") == [given]


def test_a_consent_of_the_stacks_own_keeps_its_name_and_is_withdrawn(tenant: Service) -> None:
    made = engine()
    made.up(program)
    assert [urn.rpartition("::")[2] for urn, one in made.records.items() if one.type == GRANT_TYPE] == ["mail"]
    made.up(program_for_users)
    assert held(tenant) == {**WHOLE, "oauth2PermissionGrants": 0}


def test_a_consent_taken_over_under_the_applications_name_is_renamed_only(
    tenant: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine()
    made.up(program)
    (given,) = tenant.directory.objects("oauth2PermissionGrants")
    resources = stack.last_resources
    output = {"consentTakenOver": f"/oauth2PermissionGrants/{given['id']}"}
    with monkeypatch.context() as patched:
        patched.setattr(stack, "last_resources", lambda: {**resources(), (STACK_TYPE, "x"): output})
        made.up(program)
    assert made.steps == []
    made.up(program_for_users)
    assert made.steps == [("delete", "mail-taken-over")]
    assert tenant.directory.objects("oauth2PermissionGrants") == [given]


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_goes_wrong_with_any_change_the_next_run_resumes(tenant: Service, fault: str, say: Say) -> None:
    tenant.take_requests()
    engine().up(program)
    requests = changes(tenant)
    assert len(requests) == 7
    failed = 0
    for number, request in enumerate(requests):
        tenant.directory.start_anew()
        made = engine()
        tenant.fault("^(POST|PATCH|DELETE) /v1.0", skip=number, **FAULTS[fault])
        try:
            made.up(program)
        except StepFailed:
            failed += 1
            made.up(program)
        assert not tenant.faults.active, request
        made.up(program)
        assert made.steps == [], request
        # `status` shows an application whose answer was lost, and an orphaned secret, and `prune` removes them.
        duplicates = {"applications": 2} if request == "POST /v1.0/applications" else {}
        orphans = {"secrets": 2} if request.endswith("addPassword") and fault == UNAVAILABLE else {}
        assert held(tenant) == {**WHOLE, **duplicates, **orphans}
    say(f"{len(requests)} changes of the application, {fault}: {failed} runs failed, each resumed by the next")
