"""The resource types that no recording has: what `bootstrap/` declares besides the recorded ones.

Their properties are those of the provider's public schema, their requests and words those of its public source
(hashicorp/terraform-provider-azuread, internal/services/{applications,approleassignments}). Nobody has compared them
with the real provider at work.
"""

from __future__ import annotations

from typing import Any

from sandbox.azuread import state
from sandbox.azuread.graph import Graph, ProviderError, RequestError
from sandbox.azuread.resources import (
    DELETION_POLL,
    LOCKS,
    NOT_FOUND,
    SECRET_POLL,
    Answer,
    PartialCreation,
    explained,
    last_part,
    poll,
)
from sandbox.azuread.schema import ResourceType
from sandbox.azuread.values import Properties, plain

Json = dict[str, Any]


class FederatedCredential:
    """azuread:index/applicationFederatedIdentityCredential:ApplicationFederatedIdentityCredential."""

    def __init__(self, resource_type: ResourceType) -> None:
        self.type = resource_type

    def plan_error(self, inputs: Properties) -> str | None:
        """No error is certain in a preview."""
        return None

    def create(self, graph: Graph, inputs: Properties) -> Answer | None:
        """GET the application, POST, polls until the credential stays visible, read."""
        given = plain(inputs)
        object_id = last_part(given["applicationId"])
        name = f'application with object ID "{object_id}"'
        with LOCKS.hold(object_id):
            with explained(f"Retrieving {name}"):
                graph.get(f"/applications/{object_id}")
            with explained(f"Adding federated identity credential for {name}"):
                made = graph.post(self._path(object_id), self._body(given) | {"name": given["displayName"]})
            identifier = f"{object_id}/federatedIdentityCredential/{made['id']}"
            try:
                with explained(f"Waiting for federated identity credential for {name}"):
                    poll(graph, SECRET_POLL, lambda: self._listed(graph, object_id, made["id"]))
                values = self.read(graph, identifier, {})
            except ProviderError as problem:
                raise PartialCreation(identifier, {"id": identifier, **given}, str(problem)) from problem
        return None if values is None else (identifier, values)

    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """GET."""
        object_id, _, credential_id = identifier.partition("/federatedIdentityCredential/")
        try:
            item = graph.get(f"{self._path(object_id)}/{credential_id}")
        except RequestError as error:
            if error.status == NOT_FOUND:
                return None
            words = f'Retrieving federated identity credential with ID "{credential_id}" for application'
            raise ProviderError(f'{words} with object ID "{object_id}": {error}') from error
        values = state.from_graph(self.type.properties, item)
        return values | {"id": identifier, "applicationId": f"/applications/{object_id}"}

    def update(self, graph: Graph, identifier: str, olds: Properties, inputs: Properties) -> Properties | None:
        """PATCH, read."""
        object_id, _, credential_id = identifier.partition("/federatedIdentityCredential/")
        words = f'Updating federated identity credential with ID "{credential_id}" for application'
        with LOCKS.hold(object_id), explained(f'{words} with object ID "{object_id}"'):
            graph.patch(f"{self._path(object_id)}/{credential_id}", self._body(plain(inputs)))
        return self.read(graph, identifier, olds)

    def delete(self, graph: Graph, identifier: str) -> None:
        """DELETE, then polls until it stays gone."""
        object_id, _, credential_id = identifier.partition("/federatedIdentityCredential/")
        words = f'Removing federated identity credential "{credential_id}" from application'
        with LOCKS.hold(object_id), explained(f'{words} with object ID "{object_id}"'):
            graph.delete(f"{self._path(object_id)}/{credential_id}")
            poll(graph, DELETION_POLL, lambda: not self._listed(graph, object_id, credential_id))

    @staticmethod
    def _path(object_id: str) -> str:
        return f"/applications/{object_id}/federatedIdentityCredentials"

    @staticmethod
    def _body(given: Properties) -> Json:
        kept = {name: given[name] for name in ("audiences", "issuer", "subject")}
        return kept | {"description": given.get("description") or None}

    def _listed(self, graph: Graph, object_id: str, credential_id: str) -> bool:
        return credential_id in [item["id"] for item in graph.get(self._path(object_id))["value"]]


class AppRoleAssignment:
    """azuread:index/appRoleAssignment:AppRoleAssignment. Nothing of it can be changed in place."""

    def __init__(self, resource_type: ResourceType) -> None:
        self.type = resource_type

    def plan_error(self, inputs: Properties) -> str | None:
        """No error is certain in a preview."""
        return None

    def create(self, graph: Graph, inputs: Properties) -> Answer | None:
        """GET the resource's service principal, POST, read."""
        given = plain(inputs)
        resource = given["resourceObjectId"]
        with explained(f'Could not retrieve service principal for resource (Object ID: "{resource}")'):
            graph.get(f"/servicePrincipals/{resource}")
        body = {
            "appRoleId": given["appRoleId"],
            "principalId": given["principalObjectId"],
            "resourceId": resource,
        }
        with explained("Could not create app role assignment"):
            made = graph.post(f"/servicePrincipals/{resource}/appRoleAssignedTo", body)
        identifier = f"/servicePrincipals/{resource}/appRoleAssignedTo/{made['id']}"
        values = self.read(graph, identifier, {})
        return None if values is None else (identifier, values)

    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """List the assignments of the resource and look for it."""
        collection, _, assignment_id = identifier.rpartition("/")
        try:
            entries = graph.get(collection, filter=f"id eq '{assignment_id}'")["value"]
        except RequestError as error:
            if error.status == NOT_FOUND:
                return None
            raise ProviderError(f"retrieving app role assignments for {collection}: {error}") from error
        if not entries:
            return None
        return state.from_graph(self.type.properties, entries[0]) | {"id": identifier}

    def update(self, graph: Graph, identifier: str, olds: Properties, inputs: Properties) -> Properties | None:
        """Never asked for, since every property replaces: read."""
        return self.read(graph, identifier, olds)

    def delete(self, graph: Graph, identifier: str) -> None:
        """DELETE."""
        with explained(f"Deleting app role assignment {identifier}"):
            graph.delete(identifier)


class ApplicationOwner:
    """azuread:index/applicationOwner:ApplicationOwner: one owner, the others left alone."""

    def __init__(self, resource_type: ResourceType) -> None:
        self.type = resource_type

    def plan_error(self, inputs: Properties) -> str | None:
        """No error is certain in a preview."""
        return None

    def create(self, graph: Graph, inputs: Properties) -> Answer | None:
        """List the owners, POST a reference."""
        given = plain(inputs)
        application, owner = given["applicationId"], given["ownerObjectId"]
        identifier = f"{application}/owners/{owner}"
        with LOCKS.hold(last_part(application)), explained(f"adding {identifier}"):
            if self._listed(graph, identifier):
                raise ProviderError(
                    f'A resource with the ID "{identifier}" already exists - to be managed via Terraform this resource '
                    "needs to be imported into the State."
                )
            reference = {"@odata.id": f"{graph.base}/v1.0/directoryObjects/{owner}"}
            graph.post(f"{application}/owners/$ref", reference)
        return identifier, self._values(identifier)

    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """List the owners."""
        try:
            found = self._listed(graph, identifier)
        except RequestError as error:
            if error.status == NOT_FOUND:
                return None
            raise ProviderError(f"retrieving {identifier}: {error}") from error
        return self._values(identifier) if found else None

    def update(self, graph: Graph, identifier: str, olds: Properties, inputs: Properties) -> Properties | None:
        """Never asked for, since every property replaces: read."""
        return self.read(graph, identifier, olds)

    def delete(self, graph: Graph, identifier: str) -> None:
        """DELETE the reference."""
        with explained(f"removing {identifier}"):
            graph.delete(f"{identifier}/$ref")

    @staticmethod
    def _listed(graph: Graph, identifier: str) -> bool:
        collection, _, owner = identifier.rpartition("/")
        return owner in [item["id"] for item in graph.get(collection)["value"]]

    @staticmethod
    def _values(identifier: str) -> Properties:
        application, _, owner = identifier.partition("/owners/")
        return {"id": identifier, "applicationId": application, "ownerObjectId": owner}
