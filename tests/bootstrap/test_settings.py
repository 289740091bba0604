"""The settings of both identities: what is taken, and in which words the rest is rejected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from deployer import settings
from deployer.federation import MOST_TRUSTS
from deployer.settings import Identity, Settings
from provisioning.errors import SettingsError
from sandbox.entra import claims_expression

PROGRAM = Path(__file__).parents[2] / "bootstrap"
GITHUB = {"githubRepository": "contoso/mail"}
OWNER = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"


def subjects(identity: Identity | None) -> list[str]:
    """Whom an identity trusts: what its subjects say last."""
    return [trust.subject.rpartition(":")[2] for trust in identity.trusts] if identity else []


def test_github_alone_trusts_each_environment_and_those_of_previews_for_reading() -> None:
    found = settings.load(GITHUB)
    assert subjects(found.deployer) == ["test-upkeep", "prod-upkeep"]
    assert found.deployer.permissions == ("Application.ReadWrite.OwnedBy",)
    assert subjects(found.preview) == ["test-preview", "prod-preview", "test-report", "prod-report"]
    assert found.preview is not None
    assert found.preview.permissions == ("Application.Read.All",)
    assert found.preview.application_name == "NocoBase mail previews"
    assert found.trusts == (*found.deployer.trusts, *found.preview.trusts)


def test_ten_stacks_on_github_fit_and_twenty_without_previews() -> None:
    def load(stacks: int, **given: str) -> list[int]:
        environments = json.dumps([f"stack{number}" for number in range(stacks)])
        found = settings.load({**GITHUB, "environments": environments, **given})
        return [len(identity.trusts) for identity in found.identities]

    assert load(10) == [10, MOST_TRUSTS]
    assert load(20, previews="false") == [MOST_TRUSTS]
    with pytest.raises(SettingsError, match="NocoBase mail previews: 22 federated credentials"):
        load(11)
    with pytest.raises(SettingsError, match="NocoBase mail deployer: 21 federated credentials"):
        load(21, previews="false")


def test_all_systems_together() -> None:
    found = settings.load(
        {
            **GITHUB,
            "environments": '["prod"]',
            "gitlabProject": "group/project",
            "gitlabIssuer": "https://gitlab.example.com/",
            "gitlabPreviewBranches": '["main", "next"]',
            "azureDevOpsProject": "contoso/mail",
            "azureDevOpsIssuer": "https://vstoken.dev.azure.com/1",
            "otherTrusts": json.dumps(
                [
                    {"name": "cluster", "issuer": "https://oidc.example.com", "subject": "system:x"},
                    {"name": "pulumi-preview", "issuer": "https://oidc.example.com", "subject": "y", "preview": True},
                ]
            ),
            "tenantConsent": "true",
            "mayAddOwners": "true",
            "owners": f'["{OWNER.upper()}"]',
        }
    )
    assert [trust.name for trust in found.deployer.trusts] == [
        "github-prod-upkeep",
        "gitlab-main",
        "azure-devops-nocobase-outlook-prod",
        "cluster",
    ]
    assert found.preview is not None
    assert [trust.name for trust in found.preview.trusts] == [
        "github-prod-preview",
        "github-prod-report",
        "gitlab-main",
        "gitlab-next",
        "azure-devops-nocobase-outlook-preview",
        "pulumi-preview",
    ]
    assert found.deployer.trusts[1].issuer == "https://gitlab.example.com"
    assert found.deployer.permissions == (
        "Application.ReadWrite.OwnedBy",
        "DelegatedPermissionGrant.ReadWrite.All",
        "Directory.Read.All",
        "User.Read.All",
    )
    assert found.preview.permissions == ("Application.Read.All", "Directory.Read.All")
    assert found.owners == (OWNER,)


@pytest.mark.parametrize(
    "given",
    [
        {**GITHUB, "previews": "false"},
        {"otherTrusts": '[{"name": "cluster", "issuer": "https://oidc.example.com", "subject": "system:x"}]'},
    ],
)
def test_no_identity_for_previews_where_there_are_none(given: dict[str, str]) -> None:
    found = settings.load(given)
    assert found.preview is None
    assert found.identities == (found.deployer,)


def test_other_kinds_of_jobs_are_trusted_as_they_are_named() -> None:
    jobs = {
        "githubJobs": '["environment:{environment}"]',
        "githubPreviewJobs": '["pull_request", "ref:refs/heads/main"]',
    }
    found = settings.load({**GITHUB, **jobs})
    assert [trust.subject for trust in found.deployer.trusts] == [
        "repo:contoso/mail:environment:test",
        "repo:contoso/mail:environment:prod",
    ]
    assert found.preview is not None
    assert [(trust.name, trust.subject) for trust in found.preview.trusts] == [
        ("github-pull-request", "repo:contoso/mail:pull_request"),
        ("github-ref-refs-heads-main", "repo:contoso/mail:ref:refs/heads/main"),
    ]


def test_one_expression_for_all_environments_and_one_for_all_branches() -> None:
    environments = json.dumps([f"stack{number}" for number in range(50)])
    found = settings.load(
        {
            "githubRepository": "contoso@123/mail@456",
            "gitlabProject": "group/project",
            "gitlabProjectId": "7",
            "environments": environments,
            "flexibleTrusts": "true",
        }
    )
    here = "claims['sub'] matches 'repo:contoso@123/mail@456:{}' and claims['repository_id'] eq '456'"
    at_main = " and claims['job_workflow_ref'] matches 'contoso/mail/.github/workflows/*@refs/heads/main'"
    for identity, expected in (
        (
            found.deployer,
            [f"{here.format('environment:*-upkeep')}{at_main}"],
        ),
        (
            found.preview,
            [here.format(jobs) for jobs in ("environment:*-preview", "environment:*-report")]
            + [
                "claims['sub'] matches 'project_path:group/project:ref_type:branch:ref:*' "
                "and claims['project_id'] eq '7'"
            ],
        ),
    ):
        assert identity is not None
        flexible = [trust for trust in identity.trusts if trust.expression]
        assert [trust.expression for trust in flexible] == expected
        assert {trust.subject for trust in flexible} == {""}
        for trust in flexible:
            # What Entra ID takes, by the stand-in.
            claims_expression.check(trust.issuer, trust.expression)
    assert subjects(found.deployer) == ["", "main"]


def test_issuers_that_are_given_word_for_word_stay_so() -> None:
    aks = "https://westeurope.oic.prod-aks.azure.com/11111111-1111-1111-1111-111111111111/2/"
    found = settings.load(
        {
            **GITHUB,
            "githubIssuer": "https://ghe.example.com/_services/token/",
            "azureDevOpsProject": "contoso/mail",
            "azureDevOpsIssuer": "https://vstoken.dev.azure.com/1/",
            "azureDevOpsConnections": "shared",
            "otherTrusts": json.dumps([{"name": "aks", "issuer": aks, "subject": "system:serviceaccount:a:b"}]),
        }
    )
    assert [trust.issuer for trust in found.deployer.trusts[-3:]] == [
        "https://ghe.example.com/_services/token",
        "https://vstoken.dev.azure.com/1/",
        aks,
    ]


def test_a_token_that_is_meant_for_somebody_else_is_trusted_so() -> None:
    pulumi = {"name": "pulumi", "issuer": "https://api.pulumi.com/oidc", "subject": "x", "audience": "contoso"}
    found = settings.load({**GITHUB, "otherTrusts": json.dumps([pulumi])})
    audiences = [trust.audience for trust in found.deployer.trusts]
    assert audiences == ["api://AzureADTokenExchange"] * 2 + ["contoso"]


def test_an_issuer_whose_subjects_cannot_be_composed_is_rejected() -> None:
    issuer = "https://login.microsoftonline.com/1b4e28ba-2fa1-11d2-883f-0016d3cca427/v2.0"
    with pytest.raises(SettingsError, match=r"azureDevOpsIssuer = .*\n    The subject .* into otherTrusts instead"):
        settings.load({"azureDevOpsProject": "contoso/mail", "azureDevOpsIssuer": issuer})
    copied = {"name": "devops", "issuer": issuer, "subject": "/eid1/c/pub/t/x/a/y/sc/1/2"}
    assert [trust.issuer for trust in settings.load({"otherTrusts": json.dumps([copied])}).deployer.trusts] == [issuer]


def test_one_connection_for_all_environments_is_trusted_once() -> None:
    found = settings.load(
        {
            "azureDevOpsProject": "contoso/mail",
            "azureDevOpsIssuer": "https://vstoken.dev.azure.com/1",
            "azureDevOpsConnections": "shared",
        }
    )
    assert [trust.subject for trust in found.deployer.trusts] == ["sc://contoso/mail/shared"]
    assert subjects(found.preview) == ["//contoso/mail/nocobase-outlook-preview"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "No pipeline may sign in yet"),
        (
            {"githubRepository": "mail"},
            r'Repository = "mail"\n    It must be two names .*, like contoso/mail\.$',
        ),
        ({"githubRepository": "contoso/mail\n"}, "githubRepository = "),
        (
            {"azureDevOpsProject": "contoso/our mail", "azureDevOpsIssuer": "https://vstoken.dev.azure.com/1"},
            r"azureDevOpsProject = .*\n    .* without spaces and colons, .* into otherTrusts instead\.",
        ),
        ({"githubRepository": "https://github.com/contoso/mail"}, "githubRepository = "),
        ({**GITHUB, "githubIssuer": "http://ghe.example.com"}, r"githubIssuer = .*\n    It must begin with https://"),
        ({**GITHUB, "environments": '["test prod"]'}, r"environments\[0\] = .*\n    It may contain only letters"),
        ({**GITHUB, "environments": "prod"}, "environments = .*\n    It must be a list"),
        ({**GITHUB, "owners": '["me"]'}, r'owners\[0\] = "me"\n    It must be an object id of Entra ID, like '),
        (
            {**GITHUB, "azureDevOpsProject": "contoso/mail"},
            "azureDevOpsIssuer\n    It is required with ",
        ),
        ({**GITHUB, "environments": '["a", "a"]'}, "same name"),
        ({**GITHUB, "gitHubRepository": "x/y"}, "gitHubRepository\n    There is no such setting"),
        (
            {"otherTrusts": '[{"name": "cluster", "issuer": "http://oidc.example.com", "subject": "x"}]'},
            r"otherTrusts\[0\]\.issuer = .*\n    It must begin with https://",
        ),
        ({**GITHUB, "otherTrusts": '[{"name": "n"}]'}, r"otherTrusts\[0\]\.name = .*\n    It has 3 to 120 letters"),
        (
            {"otherTrusts": '[{"name": "cluster", "issuer": "https://oidc.example.com"}]'},
            r"otherTrusts\[0\](.|\n)*Either subject or expression is required",
        ),
        ({**GITHUB, "flexibleTrusts": "true"}, r"githubRepositoryId\n    It is required with flexibleTrusts"),
        ({**GITHUB, "flexibleTrusts": "true", "githubRepositoryId": "x"}, "githubRepositoryId = "),
        ({"gitlabProject": "group/project", "flexibleTrusts": "true"}, r"gitlabProjectId\n    It is required"),
        (
            {"gitlabProject": "group/*", "gitlabProjectId": "7", "flexibleTrusts": "true"},
            r"gitlabProject\n    It has a quote",
        ),
        (
            {**GITHUB, "githubRepositoryId": "7", "githubIssuer": "https://ghe.example.com", "flexibleTrusts": "true"},
            r"flexibleTrusts\n    It is possible for GitHub with the issuer",
        ),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=f"(?m){words}") as refusal:
        settings.load(given)
    assert "pulumi config" in str(refusal.value) or "bootstrap/README.md" in str(refusal.value)


def test_every_setting_is_declared_with_its_default_and_told_in_the_readme() -> None:
    declared = yaml.safe_load((PROGRAM / "Pulumi.yaml").read_text())["config"]
    fields = {str(field.alias): field.default for field in Settings.model_fields.values()}
    assert set(declared) == set(fields)
    for key, entry in declared.items():
        default = entry["default"]
        given = tuple(default) if isinstance(default, list) else default or None if default == "" else default
        assert given == fields[key], key
    readme = (PROGRAM / "README.md").read_text()
    assert [key for key in declared if f"| `{key}` |" not in readme] == []


def test_nobody_is_an_owner_and_a_former_one() -> None:
    both = {"owners": f'["{OWNER}"]', "formerOwners": f'["{OWNER}"]'}
    with pytest.raises(SettingsError, match=f"owners, formerOwners\n    Both name {OWNER}"):
        settings.load({**GITHUB, **both})
