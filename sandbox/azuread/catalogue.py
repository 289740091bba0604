"""The resource types that the stand-in has, and what implements each."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.azuread import resources
from sandbox.azuread.app_role_assignment import AppRoleAssignment
from sandbox.azuread.application_owner import ApplicationOwner
from sandbox.azuread.federated_credential import FederatedCredential, FlexibleFederatedCredential
from sandbox.azuread.resources import Resource
from sandbox.azuread.schema import ResourceType

IMPLEMENTATIONS: dict[str, Callable[[ResourceType], Resource]] = {
    "Application": resources.Application,
    "ServicePrincipal": resources.ServicePrincipal,
    "ApplicationPassword": resources.ApplicationPassword,
    "ServicePrincipalDelegatedPermissionGrant": resources.PermissionGrant,
    "ApplicationFederatedIdentityCredential": FederatedCredential,
    "ApplicationFlexibleFederatedIdentityCredential": FlexibleFederatedCredential,
    "ApplicationOwner": ApplicationOwner,
    "AppRoleAssignment": AppRoleAssignment,
}


def all_resources(types: dict[str, ResourceType]) -> dict[str, Resource]:
    """The implementations, by type token."""
    return {token: IMPLEMENTATIONS[token.rpartition(":")[2]](kind) for token, kind in types.items()}
