"""What may be set of the deployer, and in which words the rest is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from deployer import settings
from deployer.settings import Settings, SettingsError

PROGRAM = Path(__file__).parents[2] / "bootstrap"
GITHUB = {"githubRepository": "contoso/mail"}
OWNER = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"


def test_github_alone_trusts_each_environment_and_its_previews() -> None:
    found = settings.load(GITHUB)
    names = [trust.subject.rpartition(":")[2] for trust in found.trusts]
    assert names == ["test", "prod", "test-upkeep", "prod-upkeep", "test-preview", "prod-preview"]
    assert found.permissions == ("Application.ReadWrite.OwnedBy",)


def test_all_systems_together() -> None:
    found = settings.load(
        {
            **GITHUB,
            "environments": '["prod"]',
            "previews": "false",
            "gitlabProject": "group/project",
            "gitlabIssuer": "https://gitlab.example.com/",
            "azureDevOpsProject": "contoso/mail",
            "azureDevOpsIssuer": "https://vstoken.dev.azure.com/1",
            "otherTrusts": '[{"name": "cluster", "issuer": "https://oidc.example.com", "subject": "system:x"}]',
            "tenantConsent": "true",
            "owners": f'["{OWNER.upper()}"]',
        }
    )
    assert [trust.name for trust in found.trusts] == [
        "github-prod",
        "github-prod-upkeep",
        "gitlab-main",
        "azure-devops-nocobase-outlook-prod",
        "cluster",
    ]
    assert found.trusts[2].issuer == "https://gitlab.example.com"
    assert found.permissions == ("Application.ReadWrite.OwnedBy", "DelegatedPermissionGrant.ReadWrite.All")
    assert found.owners == (OWNER,)


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
    assert [trust.issuer for trust in found.trusts[-3:]] == [
        "https://ghe.example.com/_services/token",
        "https://vstoken.dev.azure.com/1/",
        aks,
    ]


def test_a_token_that_is_meant_for_somebody_else_is_trusted_so() -> None:
    pulumi = {"name": "pulumi", "issuer": "https://api.pulumi.com/oidc", "subject": "x", "audience": "contoso"}
    found = settings.load({**GITHUB, "otherTrusts": json.dumps([pulumi])})
    audiences = [trust.audience for trust in found.trusts]
    assert audiences == ["api://AzureADTokenExchange"] * 6 + ["contoso"]


def test_one_connection_for_all_environments_is_trusted_once() -> None:
    found = settings.load(
        {
            "azureDevOpsProject": "contoso/mail",
            "azureDevOpsIssuer": "https://vstoken.dev.azure.com/1",
            "azureDevOpsConnections": "shared",
        }
    )
    assert [trust.subject for trust in found.trusts] == ["sc://contoso/mail/shared"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "No pipeline may sign in yet"),
        ({"githubRepository": "mail"}, "githubRepository: .* such as contoso/mail, no spaces or colons$"),
        ({"githubRepository": "contoso/mail\n"}, "githubRepository: "),
        (
            {"azureDevOpsProject": "contoso/our mail", "azureDevOpsIssuer": "https://vstoken.dev.azure.com/1"},
            "azureDevOpsProject: .* no spaces or colons; .* into otherTrusts instead",
        ),
        ({"githubRepository": "https://github.com/contoso/mail"}, "githubRepository: "),
        ({**GITHUB, "githubIssuer": "http://ghe.example.com"}, r"githubIssuer: .* https://"),
        ({**GITHUB, "environments": '["test prod"]'}, r"environments\[0\]: "),
        ({**GITHUB, "environments": "prod"}, "environments: "),
        ({**GITHUB, "owners": '["me"]'}, r"owners\[0\]: "),
        ({**GITHUB, "azureDevOpsProject": "contoso/mail"}, "azureDevOpsIssuer is required"),
        ({**GITHUB, "environments": '["a", "a"]'}, "same name"),
        ({**GITHUB, "gitHubRepository": "x/y"}, "gitHubRepository: "),
        (
            {"otherTrusts": '[{"name": "cluster", "issuer": "http://oidc.example.com", "subject": "x"}]'},
            r"otherTrusts\[0\]\.issuer: .* https://",
        ),
        ({**GITHUB, "otherTrusts": '[{"name": "n"}]'}, r"otherTrusts\[0\]\.name: "),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=f"(?m){words}") as refusal:
        settings.load(given)
    assert "bootstrap/README.md" in str(refusal.value)


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
    with pytest.raises(SettingsError, match=f"owners and formerOwners both name {OWNER}"):
        settings.load({**GITHUB, **both})
