"""Which tokens of which pipelines may sign in: issuers and subjects, exactly as their systems write them.

Pure functions. Entra ID compares issuer, subject and audience exactly, upper and lower case included, so each form has
its source here: GitHub "OpenID Connect reference" (also for the ids, which repositories made since July 2026 name),
GitLab "OpenID Connect (OIDC) Authentication Using ID Tokens", Azure DevOps "Azure Resource Manager service connection".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

AUDIENCE = "api://AzureADTokenExchange"
"""The audience of the tokens, if their system lets it be chosen: Entra ID."""

MOST_TRUSTS = 20
"""How many federated credentials Entra ID allows an application."""

LONGEST_NAME = 120


@dataclass(frozen=True)
class Trust:
    """One federated credential: a token with this issuer, subject and audience may sign in.

    name: unique in the application.
    """

    name: str
    issuer: str
    subject: str
    audience: str = AUDIENCE


def github(repository: str, issuer: str, environment: str) -> Trust:
    """A job of an environment of a repository (organization/name, or organization@id/name@id)."""
    return Trust(_name("github", environment), issuer, f"repo:{repository}:environment:{environment}")


def gitlab(project: str, issuer: str, branch: str) -> Trust:
    """A job on a branch of a project (group/project); GitLab's subject does not name the environment."""
    return Trust(_name("gitlab", branch), issuer, f"project_path:{project}:ref_type:branch:ref:{branch}")


def azure_devops(project: str, issuer: str, connection: str) -> Trust:
    """A job that uses a service connection of a project (organization/project)."""
    return Trust(_name("azure-devops", connection), issuer, f"sc://{project}/{connection}")


def why_invalid_trusts(trusts: tuple[Trust, ...]) -> str | None:
    """Why Entra ID would reject these federated credentials of one application; None if it would not."""
    if not trusts:
        return "No pipeline may sign in yet: set githubRepository, gitlabProject, azureDevOpsProject or otherTrusts."
    if len(trusts) > MOST_TRUSTS:
        return f"{len(trusts)} federated credentials; Entra ID allows an application {MOST_TRUSTS}."
    for what, values in (
        ("name", [trust.name for trust in trusts]),
        ("issuer and subject", [f"{trust.issuer} {trust.subject}" for trust in trusts]),
    ):
        repeated = sorted({value for value in values if values.count(value) > 1})
        if repeated:
            return f"Two federated credentials have the same {what}: {', '.join(repeated)}."
    return None


def _name(system: str, text: str) -> str:
    """A name that Entra ID accepts: letters, digits and dashes."""
    return f"{system}-{re.sub('[^A-Za-z0-9]+', '-', text)}"[:LONGEST_NAME].strip("-")
