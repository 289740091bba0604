"""azuread:index/appRoleAssignment: an application permission that a service principal has."""

from __future__ import annotations

from sandbox.azuread import state
from sandbox.azuread.graph import Graph, ProviderError, RequestError
from sandbox.azuread.resource import NOT_FOUND, Answer, Resource, explained, get_or_none
from sandbox.azuread.values import Properties, plain


class AppRoleAssignment(Resource):
    """azuread:index/appRoleAssignment:AppRoleAssignment. Nothing of it can be changed in place."""

    def create(self, graph: Graph, inputs: Properties) -> Answer | None:
        """GET the resource's service principal, POST, read."""
        given = plain(inputs)
        resource = given["resourceObjectId"]
        name = f'for resource (Object ID: "{resource}")'
        with explained(
            f"Could not retrieve service principal {name}", f"[principal_object_id] Service principal not found {name}"
        ):
            graph.get(f"/servicePrincipals/{resource}")
        body = {
            "@odata.type": "#microsoft.graph.appRoleAssignment",
            "appRoleId": given["appRoleId"],
            "principalId": given["principalObjectId"],
            "resourceId": resource,
        }
        with explained("Could not create app role assignment"):
            made = graph.post(f"/servicePrincipals/{resource}/appRoleAssignedTo", body, _not_seen_yet)
        identifier = f"/servicePrincipals/{resource}/appRoleAssignedTo/{made['id']}"
        values = self.read(graph, identifier, {})
        return None if values is None else (identifier, values)

    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """GET."""
        item = get_or_none(f"retrieving {_shown(identifier)}", lambda: graph.get(identifier))
        return None if item is None else state.from_graph(self.type.properties, item) | {"id": identifier}

    def delete(self, graph: Graph, identifier: str, olds: Properties) -> None:
        """DELETE."""
        try:
            graph.delete(identifier)
        except RequestError as error:
            raise ProviderError(f"[id] Deleting {_shown(identifier)}: {error}: {error}") from error


def _not_seen_yet(error: RequestError) -> bool:
    return error.status == NOT_FOUND or "Not a valid reference update" in error.message


def _shown(identifier: str) -> str:
    """An assignment in the words of the provider's SDK, which breaks the line."""
    _, _, resource, _, assignment = identifier.split("/")
    parts = f'Service Principal: "{resource}"\nApp Role Assignment: "{assignment}"'
    return f"Service Principal Id App Role Assigned To ({parts})"
