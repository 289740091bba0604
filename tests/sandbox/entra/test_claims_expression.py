"""Flexible federated credentials: which expressions Entra ID takes, and which tokens they let in."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.entra import claims_expression, federation, identity
from sandbox.entra.graph_errors import GraphError
from tests.sandbox.entra.service import Service, body_of
from tests.sandbox.entra.test_federation import minted, sign_in

ADMIN = identity.ADMINISTRATOR_OBJECT_ID
GITHUB, GITLAB = "https://token.actions.githubusercontent.com", "https://gitlab.com"
SUB = "claims['sub'] matches 'repo:contoso/mail:ref:refs/heads/*'"
ANY_BRANCH = f"{SUB} and claims['repository_id'] eq '456'"
PROJECT = "claims['sub'] matches 'project_path:g/p:ref_type:branch:ref:*'"


@pytest.mark.parametrize(
    ("issuer", "expression"),
    [
        (GITHUB, ANY_BRANCH),
        (GITHUB, f"{ANY_BRANCH} and claims['job_workflow_ref'] eq 'contoso/mail/.github/workflows/a.yml@refs/heads/x'"),
        (GITLAB, f"{PROJECT} and claims['project_id'] eq '7'"),
        ("https://gitlab.example.com", f"{PROJECT} and claims['namespace_id'] eq '7'"),
        ("https://app.terraform.io", "claims['sub'] matches 'organization:contoso:*'"),
    ],
)
def test_taken(issuer: str, expression: str) -> None:
    claims_expression.check(issuer, expression)


@pytest.mark.parametrize(
    ("issuer", "expression"),
    [
        (GITHUB, SUB),
        (GITLAB, PROJECT),
        (GITHUB, "claims['repository_id'] eq '456'"),
        (GITHUB, f"{SUB} and claims['repository_id'] matches '4*'"),
        (GITLAB, f"{PROJECT} and claims['project_id'] eq '7' and claims['ref'] eq 'main'"),
        (GITHUB, f"{ANY_BRANCH} or claims['sub'] eq 'x'"),
        (GITHUB, ""),
        ("https://vstoken.dev.azure.com/1", "claims['sub'] matches 'sc://*'"),
        ("https://api.pulumi.com/oidc", "claims['sub'] matches 'pulumi:*'"),
    ],
)
def test_rejected_in_the_words_of_entra(issuer: str, expression: str) -> None:
    with pytest.raises(GraphError, match="either lacks all required claims or contains unallowed claims"):
        claims_expression.check(issuer, expression)


@pytest.mark.parametrize(
    ("comparand", "value", "met"),
    [
        ("repo:a/b:ref:refs/heads/*", "repo:a/b:ref:refs/heads/feature/x", True),
        ("repo:a/b:ref:refs/heads/????", "repo:a/b:ref:refs/heads/main", True),
        ("repo:a/b:ref:refs/heads/????", "repo:a/b:ref:refs/heads/trunk", False),
        ("repo:a.b/*", "repo:a-b/c", False),
        ("repo:a/*", "x repo:a/b", False),
    ],
)
def test_wildcards(comparand: str, value: str, met: bool) -> None:
    assert claims_expression.lets_in(f"claims['sub'] matches '{comparand}'", {"sub": value}) is met
    assert not claims_expression.lets_in(f"claims['sub'] eq '{comparand}'", {"sub": value})


def flexible(entra: Service, **change: Any) -> dict[str, Any]:
    """What POST federatedIdentityCredentials of beta takes."""
    return {
        "name": "any-branch",
        "issuer": federation.issuer(entra.address, "github"),
        "audiences": [federation.AUDIENCE],
        "claimsMatchingExpression": {"value": ANY_BRANCH, "languageVersion": 1},
        **change,
    }


def administrator(entra: Service) -> dict[str, str]:
    """The header of a request by the administrator."""
    token = entra.token(identity.ADMINISTRATOR_CLIENT_ID, identity.ADMINISTRATOR_SECRET)
    return {"Authorization": f"Bearer {token}"}


def test_only_beta_makes_and_lists_one(entra: Service) -> None:
    application = entra.directory.create_application({"displayName": "reader"}, ADMIN, [])
    path = f"applications/{application['id']}/federatedIdentityCredentials"
    with entra.client() as client:
        for version, status in (("v1.0", 400), ("beta", 201)):
            answer = client.post(f"/{version}/{path}", json=flexible(entra), headers=administrator(entra))
            assert answer.status_code == status, answer.text
        listed = client.get(f"/beta/{path}", headers=administrator(entra))
        assert [(item["name"], item["subject"]) for item in body_of(listed)["value"]] == [("any-branch", None)]
        broken = client.get(f"/v1.0/{path}", headers=administrator(entra))
    assert broken.status_code == 200
    with pytest.raises(ValueError, match="delimiter"):
        broken.json()


def test_tokens_of_every_branch_sign_in_and_no_others(entra: Service) -> None:
    made = entra.directory.create_application({"displayName": "reader"}, ADMIN, [])
    entra.directory.create_service_principal({"appId": made["appId"]}, ADMIN, [])
    entra.directory.create_federated_credential(made["id"], flexible(entra), ADMIN)
    branch, right = "repo:contoso/mail:ref:refs/heads/new", {"repository_id": "456"}
    with entra.client() as client:
        for order, accepted in (
            ({"subject": branch, "claims": right}, True),
            ({"subject": branch, "claims": {"repository_id": "457"}}, False),
            ({"subject": branch}, False),
            ({"subject": "repo:contoso/mail:environment:prod", "claims": right}, False),
        ):
            answer = sign_in(entra, client, made["appId"], minted(client, **order))
            assert answer.is_success is accepted, answer.text


def test_a_subject_or_an_expression_but_not_both(entra: Service) -> None:
    made = entra.directory.create_application({"displayName": "reader"}, ADMIN, [])
    for wrong in ({"subject": "x"}, {"claimsMatchingExpression": None}):
        with pytest.raises(GraphError):
            entra.directory.create_federated_credential(made["id"], flexible(entra, **wrong), ADMIN)
