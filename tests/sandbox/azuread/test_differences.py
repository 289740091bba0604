"""What is known to differ from the real azuread plugin, as sandbox/README.md says it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.azuread import checking, schema
from sandbox.azuread.functions import FUNCTIONS
from sandbox.entra import identity
from tests.contract.in_process import provider
from tests.contract.recordings import FOLDER
from tests.sandbox.azuread.test_provider import APPLICATION, Engine
from tests.sandbox.entra.service import Service

TYPES = schema.load()
ID = "22222222-2222-2222-2222-222222222222"
REFUSED: dict[str, Any] = {
    "password": {"displayName": "x"},
    "appRoles": [{"allowedMemberTypes": ["User"], "description": "x", "displayName": "x", "id": ID}],
    "optionalClaims": {"accessTokens": [{"name": "x"}]},
    "logoImage": "aGk=",
    "templateId": ID,
    "api.oauth2PermissionScopes": [{"id": ID, "value": "x"}],
}


@pytest.mark.parametrize("name", REFUSED)
def test_property_that_it_does_not_know_is_refused(name: str) -> None:
    block, _, inner = name.rpartition(".")
    given: dict[str, Any] = {block: {inner: REFUSED[name]}} if block else {name: REFUSED[name]}
    resource = TYPES["azuread:index/application:Application"]
    (failure,) = checking.failures(resource, "mail", {"displayName": "x", **given})
    assert failure.property == name
    assert "install the official plugin" in failure.reason


def test_it_refuses_no_other_property() -> None:
    def unknown(table: dict[str, schema.Property], prefix: str = "") -> set[str]:
        found = {f"{prefix}{name}" for name, rule in table.items() if rule.unsupported}
        return found.union(*(unknown(rule.of, f"{prefix}{name}.") for name, rule in table.items() if rule.of))

    assert set().union(*(unknown(resource.properties) for resource in TYPES.values())) == set(REFUSED)


def test_it_knows_eight_resource_types_and_three_functions() -> None:
    assert len(FUNCTIONS) == 3
    assert {token.rpartition(":")[2] for token in TYPES} == {
        "AppRoleAssignment",
        "Application",
        "ApplicationFederatedIdentityCredential",
        "ApplicationFlexibleFederatedIdentityCredential",
        "ApplicationOwner",
        "ApplicationPassword",
        "ServicePrincipal",
        "ServicePrincipalDelegatedPermissionGrant",
    }


def test_it_writes_no_raw_state_delta_and_the_real_one_does(entra: Service) -> None:
    recorded = [json.loads(path.read_text()) for path in FOLDER.glob("*.json")]
    answers = [call["response"] for document in recorded for call in document["provider_calls"] if call.get("response")]
    assert any("__pulumi_raw_state_delta" in answer.get("properties", {}) for answer in answers)

    engine = Engine(provider(entra.environment))
    _, outputs = engine.create(APPLICATION, displayName="mail", owners=[identity.DEPLOYER_OBJECT_ID])

    assert "__meta" in outputs
    assert "__pulumi_raw_state_delta" not in outputs
