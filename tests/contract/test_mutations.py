"""The replay notices when the sandbox stops answering as recorded: each of these changes makes it fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.azuread import diffing, graph, resources, state
from sandbox.azuread.provider import Provider
from sandbox.entra import errors, models, rules
from tests.contract import in_process
from tests.contract.normalise import Names
from tests.contract.recordings import load, recorded_tenant
from tests.contract.replay import Result, play_http, play_provider
from tests.figures import Tally
from tests.sandbox.entra.service import Certificates, running

Mutation = Callable[[Provider, pytest.MonkeyPatch], None]
APPLICATION = "azuread:index/application:Application"
PRINCIPAL = "azuread:index/servicePrincipal:ServicePrincipal"
PASSWORD = "azuread:index/applicationPassword:ApplicationPassword"
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
    "sets in alphabetical order": swap(state, "set_order", sorted),
    "another feature tag": lambda made, patch: patch.setitem(resources.FEATURES, "hide", "Hidden"),
    "polls end early": swap(resources, "POLLS", 4),
    "throttling is an error": swap(graph, "_is_transient", lambda status: status >= 500),
    "unavailability is an error": swap(graph, "_is_transient", lambda status: status == 429),
    "words of a refusal": swap(graph.RequestError, "__str__", words("refused")),
    "kinds of differences": swap(diffing, "_set_pairs", diffing._list_pairs),
    "the name is not patched after a create": swap(resources, "patch_new", lambda client, path, body: None),
}

ENTRA_MUTATIONS: dict[str, Mutation] = {
    "a third secret is accepted": swap(rules, "PERSONAL_SECRET_LIMIT", 3),
    "words of a refusal": swap(rules, "too_many_secrets", lambda: errors.bad_request("too many")),
    "code of a missing object": swap(models, "not_found", lambda identifier: errors.GraphError(404, "Gone", "gone")),
    "status of a missing object": swap(models, "not_found", lambda identifier: errors.GraphError(410, "Gone", "gone")),
    "PATCH replaces objects": swap(models, "merge", lambda old, new: {**old, **new}),
    "PATCH is forgotten": swap(models, "merge", lambda old, new: old),
    "the caller owns nothing": swap(models.Directory, "owners", lambda self, kind, identifier: []),
    "secrets stay after removal": swap(models.Directory, "remove_password", lambda self, *_: None),
    "dates with fractions": swap(models, "rfc3339", lambda moment: moment.isoformat()),
}


def first_differences(result: Result) -> list[str]:
    """What a replay found, shortened for the message."""
    return [difference[:200] for difference in result.differences]


def replay_provider(certificates: Certificates, mutate: Mutation, patch: pytest.MonkeyPatch) -> list[str]:
    """Play scenarios until one differs."""
    scenarios = load()
    names = Names()
    with running(certificates, recorded_tenant(scenarios)) as service:
        made = in_process.provider(service.environment)
        mutate(made, patch)
        call = in_process.direct_call(made)
        for scenario in scenarios:
            if found := first_differences(play_provider(scenario, service, names, call)):
                return found
    return []


def replay_http(certificates: Certificates, mutate: Mutation, patch: pytest.MonkeyPatch) -> list[str]:
    """Play recorded requests until one differs."""
    scenarios = load()
    names = Names()
    with running(certificates, recorded_tenant(scenarios)) as service, service.client() as client:
        mutate(Provider(service.environment), patch)
        for scenario in scenarios:
            if found := first_differences(play_http(scenario, service, names, client)):
                return found
    return []


NOTICED = "changes to the sandbox noticed by the replay"


def nothing(made: Provider, patch: pytest.MonkeyPatch) -> None:
    """The control: no change, so no difference."""


def test_unchanged_sandbox_shows_no_difference(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    assert replay_provider(certificates, nothing, monkeypatch) == []
    assert replay_http(certificates, nothing, monkeypatch) == []


@pytest.mark.parametrize("name", PROVIDER_MUTATIONS)
def test_changed_provider_is_noticed(
    name: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    found = replay_provider(certificates, PROVIDER_MUTATIONS[name], monkeypatch)
    tally(NOTICED, found != [], 1)
    assert found != []


@pytest.mark.parametrize("name", ENTRA_MUTATIONS)
def test_changed_entra_is_noticed(
    name: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    found = replay_http(certificates, ENTRA_MUTATIONS[name], monkeypatch)
    tally(NOTICED, found != [], 1)
    assert found != []
