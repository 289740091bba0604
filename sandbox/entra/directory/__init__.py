"""The directory: applications, service principals, secrets, owners, federated credentials, grants, deleted items.

A file for each of them; `objects` is what they share. Knows nothing of HTTP. Every method that changes something saves
the whole state before it returns; errors are graph_errors.GraphError and leave the state as it was.
"""

from __future__ import annotations

from sandbox.entra.directory.applications import Applications
from sandbox.entra.directory.client_secrets import ClientSecrets
from sandbox.entra.directory.deleted_items import DeletedItems
from sandbox.entra.directory.federated_credentials import FederatedCredentials
from sandbox.entra.directory.grants import AppRoleAssignments, DelegatedGrants
from sandbox.entra.directory.objects import DATA, KINDS
from sandbox.entra.directory.owners import Owners
from sandbox.entra.directory.service_principals import ServicePrincipals

__all__ = ["DATA", "KINDS", "Directory"]


class Directory(
    Applications,
    ClientSecrets,
    ServicePrincipals,
    Owners,
    FederatedCredentials,
    AppRoleAssignments,
    DelegatedGrants,
    DeletedItems,
):
    """One tenant's directory."""
