"""Which application permission of Microsoft Graph each request needs. Pure: raises errors.GraphError, changes nothing.

Source: https://learn.microsoft.com/graph/permissions-reference. With `Application.ReadWrite.OwnedBy` a caller may read
all applications and service principals, and create them; that it changes only what it owns is the directory's check.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from sandbox.entra import identity
from sandbox.entra.errors import denied

OWNED_BY = "Application.ReadWrite.OwnedBy"
ANY_APPLICATION = "Application.ReadWrite.All"
CONSENT = "DelegatedPermissionGrant.ReadWrite.All"
ASSIGN = "AppRoleAssignment.ReadWrite.All"
READ_USERS = "User.Read.All"
READ_POLICIES = "Policy.Read.All"

BUILT_IN = {
    identity.DEPLOYER_OBJECT_ID: frozenset({OWNED_BY, CONSENT}),
    identity.ADMINISTRATOR_OBJECT_ID: frozenset({ANY_APPLICATION, CONSENT, ASSIGN}),
}
"""The permissions of the two callers that every tenant has here; others get theirs by app role assignments."""

READERS = frozenset({OWNED_BY, ANY_APPLICATION, "Application.Read.All"})
NEEDED: tuple[tuple[bool, str, frozenset[str]], ...] = (
    (False, r"/users", frozenset({READ_USERS})),
    (False, r"/policies|/applications/[^/]+/appManagementPolicies", frozenset({READ_POLICIES})),
    (True, r"/oauth2PermissionGrants", frozenset({CONSENT})),
    (True, r"/servicePrincipals/[^/]+/appRoleAssign", frozenset({ASSIGN})),
    (True, r"/", frozenset({OWNED_BY, ANY_APPLICATION})),
    (False, r"/oauth2PermissionGrants|/servicePrincipals/[^/]+/oauth2PermissionGrants", frozenset({CONSENT})),
    (False, r"/", READERS),
)
"""Whether the row is about changes, the beginning of the path after the version, and the permissions of which one is
needed. The first row that fits decides."""


def check(method: str, path: str, held: Collection[str]) -> None:
    """Raise GraphError 403 unless one of the permissions `held` allows the request. path: after /v1.0 or /beta."""
    changes = method not in ("GET", "HEAD")
    needed = next(any_of for about, beginning, any_of in NEEDED if about is changes and re.match(beginning, path))
    if needed.isdisjoint(held):
        raise denied()
