"""The resource types that the stand-in has, and what implements each."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.azuread.app_role_assignment import AppRoleAssignment
from sandbox.azuread.application import Application
from sandbox.azuread.application_owner import ApplicationOwner
from sandbox.azuread.application_password import ApplicationPassword
from sandbox.azuread.federated_credential import FederatedCredential, FlexibleFederatedCredential
from sandbox.azuread.permission_grant import PermissionGrant
from sandbox.azuread.resource import Resource
from sandbox.azuread.schema import ResourceType
from sandbox.azuread.service_principal import ServicePrincipal

IMPLEMENTATIONS: dict[str, Callable[[ResourceType], Resource]] = {
    "Application": Application,
    "ServicePrincipal": ServicePrincipal,
    "ApplicationPassword": ApplicationPassword,
    "ServicePrincipalDelegatedPermissionGrant": PermissionGrant,
    "ApplicationFederatedIdentityCredential": FederatedCredential,
    "ApplicationFlexibleFederatedIdentityCredential": FlexibleFederatedCredential,
    "ApplicationOwner": ApplicationOwner,
    "AppRoleAssignment": AppRoleAssignment,
}


def all_resources(types: dict[str, ResourceType]) -> dict[str, Resource]:
    """The implementations, by type token."""
    return {token: IMPLEMENTATIONS[token.rpartition(":")[2]](kind) for token, kind in types.items()}
