"""The settings of both identities: the stack's configuration as one typed, validated, frozen object."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any
from urllib.parse import urlsplit

import pulumi
from pulumi.runtime import config
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from deployer import federation
from deployer.federation import Trust
from provisioning.errors import Problem, SettingsError
from provisioning.program import input_errors
from provisioning.program.input_errors import ObjectId, invalid, matching

OWN_APPLICATIONS = "Application.ReadWrite.OwnedBy"
"""To create applications and change those that it owns: all that a deployment needs."""
CONSENT = "DelegatedPermissionGrant.ReadWrite.All"
"""To consent for the whole tenant, to any application. That is far more than mail needs, so it has to be set."""
READ_APPLICATIONS = "Application.Read.All"
"""All that a preview needs."""
READ_DIRECTORY, READ_USERS = "Directory.Read.All", "User.Read.All"
"""To read consents; both to add other owners. Source: Graph's page "Add owner", azuread's page of the resource."""

DEPLOYER, PREVIEW = "deployer", "preview"
"""The names of the two identities: of their components, applications and service principals."""

EARLIER_JOBS = ("environment:{environment}", "environment:{environment}-preview")
"""What earlier deployers trusted on GitHub besides. The pipelines' jobs sign in there as nobody, and as PREVIEW."""

ENTRA_ID = "login.microsoftonline.com"
"""The host of the issuer of newer service connections of Azure DevOps, whose subjects hold ids of Entra ID's own."""


def _https(address: str) -> str:
    if address and not address.startswith("https://"):
        raise ValueError("It must begin with https://.")
    return address


def _azure_dev_ops_issuer(address: str) -> str:
    if urlsplit(address).hostname == ENTRA_ID:
        raise ValueError(
            f"The subject of a service connection with the issuer {ENTRA_ID} cannot be composed. Unset "
            "azureDevOpsProject and azureDevOpsIssuer, and copy issuer and subject of each service connection into "
            "otherTrusts instead."
        )
    return _https(address)


def _without_slash(address: str) -> str:
    return address.rstrip("/")


def _path(text: str) -> str:
    if not re.fullmatch(r"[^\s/:]+(/[^\s/:]+)+", text):
        raise ValueError("It must be two names or more with '/' between, without spaces and colons, like contoso/mail.")
    return text


def _azure_dev_ops_path(text: str) -> str:
    try:
        return _path(text)
    except ValueError as error:
        # It is not documented how a subject writes a space.
        raise ValueError(
            f"{error} Where the project's name has any, copy issuer and subject of each service connection "
            "into otherTrusts instead."
        ) from None


GITHUB = "https://token.actions.githubusercontent.com"
ENVIRONMENT = "{environment}"
"""What stands for the name of each environment."""


Name = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9._-]*",
        "It may contain only letters, digits, '.', '_' and '-', and begins with a letter or digit.",
    ),
]
TrustName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9_-]{2,119}",
        "It has 3 to 120 letters, digits, '-' and '_', and begins with a letter or digit.",
    ),
]
Path = Annotated[str, AfterValidator(_path)]
Issuer = Annotated[str, AfterValidator(_https)]
"""Not normalised, since Entra ID compares it exactly; those of AKS end in a slash."""
Address = Annotated[Issuer, AfterValidator(_without_slash)]
"""The address of a site that issues tokens; a slash at the end is dropped."""


SYSTEMS = ("github_repository", "gitlab_project", "azure_dev_ops_project", "other_trusts")
"""The settings that name who may sign in."""


Id = Annotated[str, BeforeValidator(str), matching(r"[0-9]+", "It must be a number.")]
"""A number that GitHub or GitLab has given."""


@dataclass(frozen=True)
class Identity:
    """An application that pipelines sign in as: what it is called, who may sign in, and what it may do."""

    name: str
    application_name: str
    permissions: tuple[str, ...]
    trusts: tuple[Trust, ...]
    mail_applications: tuple[str, ...] = ()


class OtherTrust(BaseModel):
    """A token that may sign in, with its exact values, or with the expression of a flexible federated credential.

    preview: whether it signs in as the identity for previews, and not as the deployer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: TrustName
    issuer: Issuer = Field(min_length=1, max_length=600)
    subject: str = Field("", max_length=600)
    audience: str = Field(federation.AUDIENCE, min_length=1, max_length=600)
    expression: str = ""
    preview: bool = False

    @model_validator(mode="after")
    def _check_together(self) -> OtherTrust:
        if bool(self.subject) is bool(self.expression):
            raise ValueError("Either subject or expression is required, and not both.")
        return self

    @property
    def trust(self) -> Trust:
        """The same, as it is declared."""
        return Trust(self.name, self.issuer, self.subject, self.audience, self.expression)


class Settings(BaseModel):
    """The settings of both identities. The field names in camelCase are the configuration keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    application_name: str = Field("NocoBase mail deployer", min_length=1, max_length=120)
    preview_application_name: str = Field("NocoBase mail previews", min_length=1, max_length=120)
    environments: tuple[Name, ...] = ("test", "prod")
    previews: bool = True
    keep_earlier_trusts: bool = True
    flexible_trusts: bool = False
    github_repository: Path | None = None
    github_issuer: Address = GITHUB
    github_jobs: tuple[str, ...] = ("environment:{environment}-upkeep",)
    github_preview_jobs: tuple[str, ...] = ("environment:{environment}-preview", "environment:{environment}-report")
    github_repository_id: Id | None = None
    github_workflows: str = "{repository}/.github/workflows/*@refs/heads/main"
    gitlab_project: Path | None = None
    gitlab_branches: tuple[str, ...] = ("main",)
    gitlab_preview_branches: tuple[str, ...] = ()
    gitlab_project_id: Id | None = None
    gitlab_issuer: Address = "https://gitlab.com"
    azure_dev_ops_project: Annotated[str, AfterValidator(_azure_dev_ops_path)] | None = None
    azure_dev_ops_issuer: Annotated[str, AfterValidator(_azure_dev_ops_issuer)] | None = None
    azure_dev_ops_connections: str = "nocobase-outlook-{environment}"
    azure_dev_ops_preview_connections: str = "nocobase-outlook-preview"
    other_trusts: tuple[OtherTrust, ...] = ()
    tenant_consent: bool = False
    may_add_owners: bool = False
    mail_applications: tuple[ObjectId, ...] = ()
    owners: tuple[ObjectId, ...] = ()
    former_owners: tuple[ObjectId, ...] = ()

    @cached_property
    def deployer(self) -> Identity:
        """Which pipelines deploy as, and nothing else."""
        permissions = (
            OWN_APPLICATIONS,
            *((CONSENT,) if self.tenant_consent else ()),
            *((READ_DIRECTORY, READ_USERS) if self.may_add_owners else ()),
        )
        trusts = [
            *self._github(self.github_jobs, self.github_workflows),
            *self._gitlab(self.gitlab_branches),
            *self._azure_dev_ops(self.azure_dev_ops_connections),
            *(other.trust for other in self.other_trusts if not other.preview),
        ]
        return Identity(DEPLOYER, self.application_name, permissions, tuple(trusts), self.mail_applications)

    @cached_property
    def preview(self) -> Identity | None:
        """Which jobs that run code before its approval sign in as: it reads. None if there are none of them."""
        trusts = [
            *self._github(self.github_preview_jobs),
            *self._gitlab_previews,
            *self._azure_dev_ops(self.azure_dev_ops_preview_connections),
            *(other.trust for other in self.other_trusts if other.preview),
        ]
        if not self.previews or not trusts:
            return None
        permissions = (READ_APPLICATIONS, READ_DIRECTORY) if self.tenant_consent else (READ_APPLICATIONS,)
        return Identity(PREVIEW, self.preview_application_name, permissions, tuple(trusts))

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Both, or the deployer alone."""
        return (self.deployer,) if self.preview is None else (self.deployer, self.preview)

    @property
    def trusts(self) -> tuple[Trust, ...]:
        """Every token that may sign in, as either identity."""
        return tuple(trust for identity in self.identities for trust in identity.trusts)

    @cached_property
    def earlier_trusts(self) -> tuple[Trust, ...]:
        """What earlier deployers trusted besides, and pipelines may still use until they are switched."""
        if not self.github_repository:
            return ()
        found = self._each(self.github_repository, EARLIER_JOBS)
        return tuple(trust for trust in found if trust not in self.deployer.trusts)

    def _each(self, repository: str, jobs: Iterable[str]) -> list[Trust]:
        """A trust for each kind of jobs, of each environment where it names one."""
        named = [
            job.replace(ENVIRONMENT, name)
            for job in jobs
            for name in (self.environments if ENVIRONMENT in job else ("",))
        ]
        return [federation.github(repository, self.github_issuer, job) for job in named]

    def _github(self, jobs: Iterable[str], workflows: str = "") -> list[Trust]:
        repository = self.github_repository
        if not repository:
            return []
        if not self.flexible_trusts:
            return self._each(repository, jobs)
        # A subject may hold the ids, the workflow's own name does not.
        plain = re.sub("@[^/]*", "", repository)
        return [
            federation.github_flexible(
                repository,
                self.github_issuer,
                job.replace(ENVIRONMENT, "*"),
                str(self._repository_id),
                workflows.replace("{repository}", plain),
            )
            for job in jobs
        ]

    @property
    def _repository_id(self) -> str | None:
        """The setting, else the id in the repository's name."""
        named = re.search("/[^/@]+@([0-9]+)$", self.github_repository or "")
        return self.github_repository_id or (named[1] if named else None)

    def _gitlab(self, branches: Iterable[str]) -> list[Trust]:
        project = self.gitlab_project
        return [federation.gitlab(project, self.gitlab_issuer, one) for one in branches] if project else []

    @property
    def _gitlab_previews(self) -> list[Trust]:
        if self.flexible_trusts and self.gitlab_project:
            return [federation.gitlab_flexible(self.gitlab_project, self.gitlab_issuer, str(self.gitlab_project_id))]
        return self._gitlab(dict.fromkeys((*self.gitlab_branches, *self.gitlab_preview_branches)))

    def _azure_dev_ops(self, connections: str) -> list[Trust]:
        if not self.azure_dev_ops_project or not self.azure_dev_ops_issuer:
            return []
        names = dict.fromkeys(connections.replace(ENVIRONMENT, name) for name in self.environments)
        return [federation.azure_devops(self.azure_dev_ops_project, self.azure_dev_ops_issuer, name) for name in names]

    @model_validator(mode="after")
    def _check_together(self) -> Settings:
        if self.azure_dev_ops_project and not self.azure_dev_ops_issuer:
            raise _together(
                "It is required with azureDevOpsProject; the service connection shows it.", "azureDevOpsIssuer"
            )
        if both := sorted(set(self.owners) & set(self.former_owners)):
            raise _together(f"Both name {', '.join(both)}. Take each out of one of the two.", "owners", "formerOwners")
        if self.flexible_trusts:
            self._check_flexible()
        named = [to_camel(name) for name in SYSTEMS if getattr(self, name)] or list(map(to_camel, SYSTEMS))
        if not self.deployer.trusts:
            raise _together("No pipeline may sign in yet. Set the one of these settings that is your system's.", *named)
        for identity in self.identities:
            if reason := federation.why_invalid_trusts(identity.trusts):
                raise _together(f"{identity.application_name}: {reason}", *named)
        return self

    def _check_flexible(self) -> None:
        """Raise an error for what an expression needs, or cannot hold."""
        for key, path, number, of_number in (
            ("githubRepository", self.github_repository, self._repository_id, "githubRepositoryId"),
            ("gitlabProject", self.gitlab_project, self.gitlab_project_id, "gitlabProjectId"),
        ):
            if path and not number:
                raise _together(f"It is required with flexibleTrusts and {key}: Entra ID demands the id.", of_number)
            if path and federation.NOT_IN_EXPRESSIONS.search(path):
                raise _together("It has a quote, * or ?, which no expression of flexibleTrusts can hold.", key)
        if self.github_repository and self.github_issuer != GITHUB:
            raise _together(f"It is possible for GitHub with the issuer {GITHUB} only.", "flexibleTrusts")


def _together(reason: str, *keys: str) -> PydanticCustomError:
    """The error of settings that contradict each other."""
    return invalid(reason, keys=keys)


def configuration() -> dict[str, str]:
    """The stack's own configuration, keys without the project's name."""
    values = {**config.get_config_env(), **config.CONFIG.get()}
    prefix = f"{pulumi.get_project()}:"
    return {key.removeprefix(prefix): str(value) for key, value in values.items() if key.startswith(prefix)}


def load(values: Mapping[str, str]) -> Settings:
    """The settings from the stack's configuration: every value a string, lists as JSON, unset ones empty.

    Raises SettingsError with everything that is wrong.
    """
    given = {key: _parsed(value) for key, value in values.items() if value != ""}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError([_problem(details) for details in error.errors(include_url=False)]) from None


def _parsed(value: str) -> Any:
    """A JSON list or object as such; any other value unchanged."""
    if value[0] not in "[{":
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _problem(details: ErrorDetails) -> Problem:
    reason = input_errors.why(details)
    if not details["loc"]:  # of several settings together
        return Problem(", ".join(details["ctx"]["keys"]), None, reason, "bootstrap/README.md lists the settings.")
    path = input_errors.path(details["loc"])
    target = f"--path {shlex.quote(path)}" if len(details["loc"]) > 1 else shlex.quote(path)
    if details["type"] == "extra_forbidden":
        return Problem(path, None, reason, f"pulumi config rm {target}")
    value = None if details["type"] == "missing" else input_errors.shown(details["input"])
    if details["type"] == "tuple_type":
        remedy = f"pulumi config rm {path}, then pulumi config set --path '{path}[0]' <value>"
        return Problem(path, value, reason, f"Write it as a list: {remedy}")
    return Problem(path, value, reason, f"Correct it: pulumi config set {target} <value>")
