"""Which tokens of which pipelines may sign in: issuers and subjects, exactly as their systems write them.

Pure functions. Entra ID compares issuer, subject and audience exactly, upper and lower case included, so each form has
its source here: GitHub "OpenID Connect reference" (also for the ids, which repositories made since July 2026 name),
GitLab "OpenID Connect (OIDC) Authentication Using ID Tokens", Azure DevOps "Azure Resource Manager service connection".
Flexible credentials: Entra's "Set up a flexible federated identity credential", "Mutable subjects in federated identity
credentials" (also for the ids that each expression needs since July 2026).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

AUDIENCE = "api://AzureADTokenExchange"
"""The audience of the tokens, if their system lets it be chosen: Entra ID."""

MOST_TRUSTS = 20
"""How many federated credentials Entra ID allows an application."""

LONGEST_NAME = 120
ENVIRONMENT = "environment:"
"""How the job of an environment begins in GitHub's subject."""
NOT_IN_EXPRESSIONS = re.compile(r"['*?]")
"""What would end a text of an expression, or match anything."""


@dataclass(frozen=True)
class Trust:
    """One federated credential: a token with this issuer, subject and audience may sign in.

    name: unique in the application. subject: "" for a flexible one, whose expression the token's claims have to meet.
    """

    name: str
    issuer: str
    subject: str
    audience: str = AUDIENCE
    expression: str = ""

    @property
    def shown(self) -> str:
        """Whose tokens it lets in."""
        return self.subject or self.expression


def github(repository: str, issuer: str, job: str) -> Trust:
    """A kind of jobs of a repository (organization/name, or organization@id/name@id).

    job: what a subject says after the repository, such as `environment:prod` or `pull_request`.
    """
    return Trust(_name("github", job.removeprefix(ENVIRONMENT)), issuer, f"repo:{repository}:{job}")


def github_flexible(repository: str, issuer: str, jobs: str, repository_id: str, workflows: str = "") -> Trust:
    """Several kinds of jobs, by one expression. jobs: as above, with * for what may vary.

    Entra ID requires one of GitHub's ids in each expression. workflows: those that may sign in, with the branch; any if
    empty. A workflow on any branch may name an environment that nobody protects, so a deployer needs it.
    """
    expression = f"claims['sub'] matches 'repo:{repository}:{jobs}' and claims['repository_id'] eq '{repository_id}'"
    if workflows:
        expression += f" and claims['job_workflow_ref'] matches '{workflows}'"
    return Trust(_name("github-flexible", jobs.removeprefix(ENVIRONMENT)), issuer, "", expression=expression)


def gitlab(project: str, issuer: str, branch: str) -> Trust:
    """A job on a branch of a project (group/project); GitLab's subject does not name the environment.

    That of a merge request's pipeline names the source branch.
    """
    return Trust(_name("gitlab", branch), issuer, f"project_path:{project}:ref_type:branch:ref:{branch}")


def gitlab_flexible(project: str, issuer: str, project_id: str) -> Trust:
    """A job on any branch of a project, by one expression. Entra ID requires one of GitLab's ids in it."""
    subject = f"project_path:{project}:ref_type:branch:ref:*"
    expression = f"claims['sub'] matches '{subject}' and claims['project_id'] eq '{project_id}'"
    return Trust("gitlab-flexible", issuer, "", expression=expression)


def azure_devops(project: str, issuer: str, connection: str) -> Trust:
    """A job that uses a service connection of a project (organization/project)."""
    return Trust(_name("azure-devops", connection), issuer, f"sc://{project}/{connection}")


def why_invalid_trusts(trusts: tuple[Trust, ...]) -> str | None:
    """Why Entra ID would reject these federated credentials of one application; None if it would not."""
    if len(trusts) > MOST_TRUSTS:
        return f"{len(trusts)} federated credentials; Entra ID allows an application {MOST_TRUSTS}."
    for what, values in (
        ("name", [trust.name for trust in trusts]),
        ("issuer and subject", [f"{trust.issuer} {trust.shown}" for trust in trusts]),
    ):
        repeated = sorted({value for value in values if values.count(value) > 1})
        if repeated:
            return f"Two federated credentials have the same {what}: {', '.join(repeated)}."
    return None


def _name(system: str, text: str) -> str:
    """A name that Entra ID accepts: letters, digits and dashes."""
    return f"{system}-{re.sub('[^A-Za-z0-9]+', '-', text)}"[:LONGEST_NAME].strip("-")
