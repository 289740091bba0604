"""The expressions of flexible federated credentials: what may be in one, and which tokens it lets in. Pure.

Nothing of it is recorded. Sources: https://learn.microsoft.com/entra/workload-id/, the pages
"workload-identities-flexible-federated-identity-credentials" and
"workload-identities-federated-credential-mutable-subjects" (claims that are required since July 2026); the words of the
rejection from github.com/hashicorp/terraform-provider-azuread/issues/1901.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sandbox.entra.graph_errors import GraphError

CONDITION = re.compile(r"claims\['(?P<claim>[a-z_]+)'\] (?P<operator>eq|matches) '(?P<comparand>[^']*)'")
JOINED_BY = " and "
BOTH, EXACT = frozenset({"eq", "matches"}), frozenset({"eq"})
"""Operators."""


@dataclass(frozen=True)
class Issuer:
    """What an expression for its tokens may say. claims: with their operators. one_of: of which one is required
    besides `sub`, none if empty."""

    claims: Mapping[str, frozenset[str]]
    one_of: frozenset[str]


_GITHUB_IDS = ("repository_id", "repository_owner_id")
_GITLAB_IDS = ("project_id", "namespace_id", "user_id")
GITHUB = Issuer(
    {"sub": BOTH, "job_workflow_ref": BOTH, **dict.fromkeys(_GITHUB_IDS, EXACT)}, one_of=frozenset(_GITHUB_IDS)
)
GITLAB = Issuer({"sub": BOTH, **dict.fromkeys(_GITLAB_IDS, EXACT)}, one_of=frozenset(_GITLAB_IDS))
TERRAFORM_CLOUD = Issuer({"sub": BOTH}, one_of=frozenset())


@dataclass(frozen=True)
class Condition:
    """One claim, and what it has to be."""

    claim: str
    operator: str
    comparand: str

    def holds(self, value: object) -> bool:
        """Whether the claim's value meets it; `*` and `?` are wildcards of `matches` alone."""
        if self.operator == "eq":
            return value == self.comparand
        parts = re.split(r"([*?])", self.comparand)
        pattern = "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in parts)
        return isinstance(value, str) and re.fullmatch(pattern, value, re.DOTALL) is not None


def conditions(expression: str) -> tuple[Condition, ...]:
    """The conditions of an expression, all of which have to hold; none if it is malformed."""
    found = [CONDITION.fullmatch(part) for part in expression.split(JOINED_BY)]
    return tuple(Condition(**match.groupdict()) for match in found if match) if all(found) else ()


def lets_in(expression: str, claims: Mapping[str, Any]) -> bool:
    """Whether a token with these claims meets an expression."""
    found = conditions(expression)
    return bool(found) and all(one.holds(claims.get(one.claim)) for one in found)


def check(issuer: str, expression: str) -> None:
    """Raise GraphError 400 for an expression that Entra ID does not take for the tokens of an issuer."""
    known, found = _known(issuer), conditions(expression)
    claims = {one.claim for one in found}
    allowed = known is not None and all(one.operator in known.claims.get(one.claim, ()) for one in found)
    if known is None or not allowed or "sub" not in claims or (known.one_of and known.one_of.isdisjoint(claims)):
        property_name = "FederatedIdentityCredential.ClaimsMatchingExpression.Value"
        raise GraphError(
            400,
            "InvalidFederatedIdentityCredentialValue",
            f"The {property_name} is invalid. Rule exception: Expression configured for issuer '{issuer}' either lacks "
            f"all required claims or contains unallowed claims. paramName: {property_name}, paramValue: {expression}, "
            "objectType: Microsoft.Online.DirectoryServices.Application",
        )


def _known(issuer: str) -> Issuer | None:
    """GitHub, GitLab or Terraform Cloud, also as the sandbox plays them (`sandbox.entra.federation.issuer`)."""
    address = urlsplit(issuer)
    host, system = address.hostname or "", address.path.rpartition("/_sandbox/oidc/")[2]
    if host == "token.actions.githubusercontent.com" or system == "github":
        return GITHUB
    if host.startswith("gitlab.") or system == "gitlab":
        return GITLAB
    return TERRAFORM_CLOUD if host in ("app.terraform.io", "app.eu.terraform.io") else None
