"""Which application permission of Microsoft Graph each request needs. Pure; raises GraphError.

Source: https://learn.microsoft.com/graph/permissions-reference. With `Application.ReadWrite.OwnedBy` a caller may read
all applications and service principals, and create them; that it changes only what it owns is the directory's check.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from sandbox.entra import identity
from sandbox.entra.graph_errors import denied

OWNED_BY = "Application.ReadWrite.OwnedBy"
ANY_APPLICATION = "Application.ReadWrite.All"
CONSENT = "DelegatedPermissionGrant.ReadWrite.All"
ASSIGN = "AppRoleAssignment.ReadWrite.All"
READ_DIRECTORY = "Directory.Read.All"
CHANGE_DIRECTORY = "Directory.ReadWrite.All"
READ_USERS = "User.Read.All"
READ_POLICIES = "Policy.Read.All"

BUILT_IN = {
    identity.DEPLOYER_OBJECT_ID: frozenset({OWNED_BY, CONSENT, READ_DIRECTORY, READ_USERS}),
    identity.ADMINISTRATOR_OBJECT_ID: frozenset({ANY_APPLICATION, CONSENT, ASSIGN, READ_DIRECTORY, READ_USERS}),
}
"""The permissions of the two callers that every tenant has here; others get theirs by app role assignments."""

CHANGERS = frozenset({OWNED_BY, ANY_APPLICATION, CHANGE_DIRECTORY})
CONSENTERS = frozenset({CONSENT, CHANGE_DIRECTORY})
READERS = CHANGERS | {"Application.Read.All", READ_DIRECTORY}
NEEDED: tuple[tuple[bool, str, frozenset[str]], ...] = (
    (False, r"/users", frozenset({READ_USERS, READ_DIRECTORY, CHANGE_DIRECTORY})),
    (False, r"/policies|/applications/[^/]+/appManagementPolicies", frozenset({READ_POLICIES})),
    (True, r"/oauth2PermissionGrants", CONSENTERS),
    (True, r"/servicePrincipals/[^/]+/appRoleAssign", frozenset({ASSIGN})),
    (True, r"/", CHANGERS),
    (
        False,
        r"/oauth2PermissionGrants|/servicePrincipals/[^/]+/oauth2PermissionGrants",
        CONSENTERS | {READ_DIRECTORY},
    ),
    (False, r"/", READERS),
)
"""Whether the row is about changes, the beginning of the path after the version, and the permissions of which one is
needed. The first row that fits decides."""


def may_change_any(held: Collection[str]) -> bool:
    """Whether a caller may change applications that it does not own."""
    return not {ANY_APPLICATION, CHANGE_DIRECTORY}.isdisjoint(held)


def check_new_owner(held: Collection[str], *, person: bool) -> None:
    """Raise GraphError 403 for a caller that may not add another owner. person: whether the owner is a user.

    Source: https://learn.microsoft.com/graph/api/application-post-owners; the second by the azuread provider's page.
    """
    if CHANGE_DIRECTORY in held:
        return
    if READ_DIRECTORY not in held or (person and READ_USERS not in held):
        raise denied()


def check(method: str, path: str, held: Collection[str]) -> None:
    """Raise GraphError 403 unless one of the permissions `held` allows the request. path: after /v1.0 or /beta."""
    changes = method not in ("GET", "HEAD")
    needed = next(any_of for about, beginning, any_of in NEEDED if about is changes and re.match(beginning, path))
    if needed.isdisjoint(held):
        raise denied()
