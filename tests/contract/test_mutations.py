"""The replay notices when the sandbox stops answering as recorded: each of these changes makes it fail.

The recordings of the mail application's life and those that begin with the deployer stand alone, so that a change of
what only the deployer has is not played through the former.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any

import pytest

from sandbox.azuread import application_owner, application_password, checking, diffing, graph, resource, state, tags
from sandbox.azuread.app_role_assignment import AppRoleAssignment
from sandbox.azuread.federated_credential import FederatedCredential
from sandbox.azuread.provider import Provider
from sandbox.entra import directory, graph_errors, query, rules
from tests.contract import in_process
from tests.contract.normalise import Names
from tests.contract.recordings import Scenario, load, recorded_tenant
from tests.contract.replay import Result, play_http, play_provider
from tests.figures import Tally
from tests.sandbox.entra.service import Certificates, running

Mutation = Callable[[Provider, pytest.MonkeyPatch], None]
APPLICATION = "azuread:index/application:Application"
PRINCIPAL = "azuread:index/servicePrincipal:ServicePrincipal"
PASSWORD = "azuread:index/applicationPassword:ApplicationPassword"
TRUST = "azuread:index/applicationFederatedIdentityCredential:ApplicationFederatedIdentityCredential"
ASSIGNMENT = "azuread:index/appRoleAssignment:AppRoleAssignment"
OWNER = "azuread:index/applicationOwner:ApplicationOwner"
GRANT = "azuread:index/servicePrincipalDelegatedPermissionGrant:ServicePrincipalDelegatedPermissionGrant"


def rule(token: str, name: str, **change: Any) -> Mutation:
    """Change one row of the property table."""

    def mutate(made: Provider, patch: pytest.MonkeyPatch) -> None:
        for key, value in change.items():
            patch.setattr(made.types[token].properties[name], key, value)

    return mutate


def swap(target: Any, name: str, value: Any) -> Mutation:
    """Put something else in place of a constant or a function."""
    return lambda made, patch: patch.setattr(target, name, value)


def everywhere(package: ModuleType, name: str, value: Any) -> Mutation:
    """Put something else in place of a function in each file of a package that imports it."""

    def mutate(made: Provider, patch: pytest.MonkeyPatch) -> None:
        users = [one for one in vars(package).values() if isinstance(one, ModuleType) and hasattr(one, name)]
        assert users != []
        for module in users:
            patch.setattr(module, name, value)

    return mutate


def words(text: str) -> Callable[..., str]:
    """A function that always says the same."""
    return lambda *_: text


PROVIDER_MUTATIONS: dict[str, Mutation] = {
    "a default": rule(PRINCIPAL, "accountEnabled", default=False),
    "no default": rule(PRINCIPAL, "accountEnabled", default=None),
    "a new end date updates instead of replacing": rule(PASSWORD, "endDate", replace=False),
    "a new window updates instead of replacing": rule(PASSWORD, "rotateWhenChanged", replace=False),
    "a new name replaces the application": rule(APPLICATION, "displayName", replace=True),
    "template is no longer stable": rule(APPLICATION, "templateId", replace=False),
    "other scopes replace the grant": rule(GRANT, "claimValues", replace=True),
    "the secret is no secret": rule(PASSWORD, "value", secret=False),
    "the secret is forgotten": rule(PASSWORD, "value", kept=False),
    "permissions are always sent": rule(APPLICATION, "requiredResourceAccesses", patch="always"),
    "scopes are compared as a list": rule(GRANT, "claimValues", type="list"),
    "removed claims go unnoticed": rule(APPLICATION, "groupMembershipClaims", computed=True),
    "schema version": lambda made, patch: patch.setattr(made.types[APPLICATION], "schemaVersion", "1"),
    "empty instead of null after a create": swap(state, "after_create", lambda table, inputs, values: values),
    "empty instead of null after an update": swap(state, "after_update", lambda table, inputs, olds, values: values),
    "refresh keeps the old inputs": swap(state, "refreshed_inputs", lambda table, inputs, values: inputs),
    "import gives all properties": swap(state, "imported_inputs", lambda table, values: values),
    "sets in alphabetical order": swap(state, "set_order", lambda rule, items: sorted(items, key=str)),
    "another feature tag": lambda made, patch: patch.setitem(tags.FEATURES, "hide", "Hidden"),
    "polls end early": swap(resource, "POLLS", 4),
    "throttling is an error": swap(graph, "_is_transient", lambda status: status >= 500),
    "unavailability is an error": swap(graph, "_is_transient", lambda status: status == 429),
    "words of a refusal": swap(graph.RequestError, "__str__", words("refused")),
    "kinds of differences": swap(diffing, "_set_pairs", diffing._list_pairs),
    "polls for a secret are skipped": swap(
        application_password, "poll", lambda client, seconds, seen, times=None: None
    ),
}

with_defaults, body_of_a_trust = checking.with_defaults, FederatedCredential._body

DEPLOYER_MUTATIONS: dict[str, Mutation] = {
    "what was disabled by hand is enabled": swap(
        checking, "with_defaults", lambda table, inputs, olds=None: with_defaults(table, inputs)
    ),
    "a refresh takes over owners that nobody declared": swap(state, "_refreshed", lambda rule, old, value: value),
    "identifier URIs are always sent": rule(APPLICATION, "identifierUris", patch="always"),
    "optional claims are always sent": rule(APPLICATION, "optionalClaims", patch="always"),
    "optional claims are never sent": rule(APPLICATION, "optionalClaims", patch="never"),
    "notes are kept": rule(PRINCIPAL, "notes", computed=True),
    "a new name updates a trust": rule(TRUST, "displayName", replace=False),
    "another subject replaces a trust": rule(TRUST, "subject", replace=True),
    "schema version of a trust": lambda made, patch: patch.setattr(made.types[TRUST], "schemaVersion", "1"),
    "time for a trust": lambda made, patch: patch.setitem(made.types[TRUST].timeouts, "create", 300),
    "a trust without a description has none": swap(
        FederatedCredential, "_body", staticmethod(lambda given: {**body_of_a_trust(given), "description": None})
    ),
    "another role updates an assignment": rule(ASSIGNMENT, "appRoleId", replace=False),
    "an assignment shows no names": rule(ASSIGNMENT, "principalDisplayName", graph=None),
    "an assignment that is gone is an error": swap(
        AppRoleAssignment, "read", lambda self, client, identifier, olds: {"id": identifier, **client.get(identifier)}
    ),
    "another owner updates the ownership": rule(OWNER, "ownerObjectId", replace=False),
    "every owner is listed": swap(
        application_owner,
        "_listed",
        lambda client, identifier: identifier.rpartition("/")[2] in str(client.get(identifier.rpartition("/")[0])),
    ),
}

ENTRA_MUTATIONS: dict[str, Mutation] = {
    "a third secret is accepted": swap(rules, "PERSONAL_SECRET_LIMIT", 3),
    "words of a refusal": swap(rules, "too_many_secrets", lambda: graph_errors.bad_request("too many")),
    "code of a missing object": everywhere(
        directory, "not_found", lambda _: graph_errors.GraphError(404, "Gone", "gone")
    ),
    "status of a missing object": everywhere(
        directory, "not_found", lambda _: graph_errors.GraphError(410, "Gone", "gone")
    ),
    "PATCH replaces objects": everywhere(directory, "merge", lambda old, new: {**old, **new}),
    "PATCH is forgotten": everywhere(directory, "merge", lambda old, new: old),
    "the caller owns nothing": swap(directory.Directory, "owners", lambda self, kind, identifier: []),
    "secrets stay after removal": swap(directory.Directory, "remove_password", lambda self, *_: None),
    "dates with fractions": everywhere(directory, "rfc3339", lambda moment: moment.isoformat()),
}

DEPLOYER_ENTRA_MUTATIONS: dict[str, Mutation] = {
    "two trusts with the same subject": swap(rules, "check_federated_credential", lambda credential, others: None),
    "a removed trust stays": swap(directory.Directory, "delete_federated_credential", lambda self, *_: None),
    "a changed trust stays as it was": swap(directory.Directory, "update_federated_credential", lambda self, *_: None),
    "assignments are found by any resource": swap(
        directory.Directory, "app_role_assignment", lambda self, identifier, side, principal: {"id": identifier}
    ),
    "owners are not filtered": swap(query, "matches", lambda item, expression: True),
    "an assignment is of a user": swap(directory.Directory, "_named_principal", lambda self, body, name: {}),
}


def first_differences(result: Result) -> list[str]:
    """What a replay found, shortened for the message."""
    return [difference[:200] for difference in result.differences]


MAIL, DEPLOYER = slice(None, 23), slice(23, None)


def replay_provider(
    certificates: Certificates, mutate: Mutation, patch: pytest.MonkeyPatch, scenarios: Sequence[Scenario]
) -> list[str]:
    """Play scenarios until one differs."""
    names = Names()
    with running(certificates, recorded_tenant(load())) as service:
        made = in_process.provider(service.environment)
        mutate(made, patch)
        call = in_process.direct_call(made)
        for scenario in scenarios:
            if found := first_differences(play_provider(scenario, service, names, call)):
                return found
    return []


def replay_http(
    certificates: Certificates, mutate: Mutation, patch: pytest.MonkeyPatch, scenarios: Sequence[Scenario]
) -> list[str]:
    """Play recorded requests until one differs."""
    names = Names()
    with running(certificates, recorded_tenant(load())) as service, service.client() as client:
        mutate(Provider(service.environment), patch)
        for scenario in scenarios:
            if found := first_differences(play_http(scenario, service, names, client)):
                return found
    return []


NOTICED = "changes to the sandbox noticed by the replay"


def nothing(made: Provider, patch: pytest.MonkeyPatch) -> None:
    """The control: no change, so no difference."""


def sample(names: Iterable[str]) -> list[Any]:
    """All of them for the proofs, and every third for each run."""
    marks = ((), (pytest.mark.proof,), (pytest.mark.proof,))
    return [pytest.param(name, marks=marks[number % 3]) for number, name in enumerate(names)]


@pytest.mark.parametrize("part", [MAIL, DEPLOYER])
def test_unchanged_sandbox_shows_no_difference(
    part: slice, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert replay_provider(certificates, nothing, monkeypatch, load()[part]) == []
    assert replay_http(certificates, nothing, monkeypatch, load()[part]) == []


@pytest.mark.parametrize("name", sample([*PROVIDER_MUTATIONS, *DEPLOYER_MUTATIONS]))
def test_changed_provider_is_noticed(
    name: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    part = MAIL if name in PROVIDER_MUTATIONS else DEPLOYER
    mutation = {**PROVIDER_MUTATIONS, **DEPLOYER_MUTATIONS}[name]
    found = replay_provider(certificates, mutation, monkeypatch, load()[part])
    tally(NOTICED, found != [], 1)
    assert found != []


@pytest.mark.parametrize("name", sample([*ENTRA_MUTATIONS, *DEPLOYER_ENTRA_MUTATIONS]))
def test_changed_entra_is_noticed(
    name: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    part = MAIL if name in ENTRA_MUTATIONS else DEPLOYER
    mutation = {**ENTRA_MUTATIONS, **DEPLOYER_ENTRA_MUTATIONS}[name]
    found = replay_http(certificates, mutation, monkeypatch, load()[part])
    tally(NOTICED, found != [], 1)
    assert found != []
