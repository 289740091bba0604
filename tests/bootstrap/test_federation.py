"""The subjects of pipelines' tokens, letter by letter as their systems' documentation shows them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer import federation
from deployer.federation import MOST_TRUSTS, Trust
from sandbox.entra import rules
from sandbox.entra.graph_errors import GraphError

GITHUB, GITLAB = "https://token.actions.githubusercontent.com", "https://gitlab.com"
DEVOPS = "https://vstoken.dev.azure.com/7f0c3a2e-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("trust", "name", "subject"),
    [
        (
            federation.github("octo-org/octo-repo", GITHUB, "environment:prod"),
            "github-prod",
            "repo:octo-org/octo-repo:environment:prod",
        ),
        (
            federation.github("octocat@123456/my-repo@456789", GITHUB, "environment:prod-preview"),
            "github-prod-preview",
            "repo:octocat@123456/my-repo@456789:environment:prod-preview",
        ),
        (
            federation.github("octo-org/octo-repo", GITHUB, "pull_request"),
            "github-pull-request",
            "repo:octo-org/octo-repo:pull_request",
        ),
        (
            federation.gitlab("my-group/my-project", GITLAB, "main"),
            "gitlab-main",
            "project_path:my-group/my-project:ref_type:branch:ref:main",
        ),
        (
            federation.gitlab("group/sub/project", GITLAB, "release/2.x"),
            "gitlab-release-2-x",
            "project_path:group/sub/project:ref_type:branch:ref:release/2.x",
        ),
        (
            federation.azure_devops("contoso/mail", DEVOPS, "nocobase-outlook-prod"),
            "azure-devops-nocobase-outlook-prod",
            "sc://contoso/mail/nocobase-outlook-prod",
        ),
    ],
)
def test_subjects(trust: Trust, name: str, subject: str) -> None:
    assert (trust.name, trust.subject) == (name, subject)
    assert trust.issuer in (GITHUB, GITLAB, DEVOPS)


@given(st.text(min_size=1))
def test_every_name_is_one_that_entra_takes(text: str) -> None:
    trust = federation.gitlab("group/project", GITLAB, text)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{2,119}", trust.name)


def test_what_entra_rejects_of_all_together() -> None:
    one = federation.github("contoso/mail", GITHUB, "environment:prod")
    other = federation.gitlab("contoso/mail", GITLAB, "prod")
    assert federation.why_invalid_trusts((one, other)) is None
    assert "same name: github-prod" in str(federation.why_invalid_trusts((one, Trust("github-prod", GITLAB, "x"))))
    assert "same issuer and subject" in str(federation.why_invalid_trusts((one, Trust("x", one.issuer, one.subject))))


def test_the_limit_is_the_one_that_the_sandbox_enforces() -> None:
    many = tuple(federation.gitlab("contoso/mail", GITLAB, f"branch{number}") for number in range(MOST_TRUSTS + 1))
    assert federation.why_invalid_trusts(many[:-1]) is None
    assert "21 federated credentials; Entra ID allows an application 20" in str(federation.why_invalid_trusts(many))
    bodies = [
        {"name": trust.name, "issuer": trust.issuer, "subject": trust.subject, "audiences": [federation.AUDIENCE]}
        for trust in many
    ]
    rules.check_federated_credential(bodies[0], bodies[1:-1])
    with pytest.raises(GraphError):
        rules.check_federated_credential(bodies[0], bodies[1:])
