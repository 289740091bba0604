"""azuread:index/servicePrincipalDelegatedPermissionGrant: a consent to delegated permissions."""

from __future__ import annotations

from sandbox.azuread import state
from sandbox.azuread.graph import Graph
from sandbox.azuread.resource import Answer, Resource, explained, get_or_none, is_not_found, last_part, shown
from sandbox.azuread.values import Properties, plain


class PermissionGrant(Resource):
    """azuread:index/servicePrincipalDelegatedPermissionGrant:ServicePrincipalDelegatedPermissionGrant."""

    def create(self, graph: Graph, inputs: Properties) -> Answer | None:
        """GET both service principals, POST, read."""
        given = plain(inputs)
        client, resource = given["servicePrincipalObjectId"], given["resourceServicePrincipalObjectId"]
        name = shown(f"/servicePrincipals/{client}")
        with explained(f"Could not retrieve {name}", f"[principal_object_id] {name} was not found)"):
            graph.get(f"/servicePrincipals/{client}")
        name = shown(f"/servicePrincipals/{resource}")
        with explained(
            f"Could not retrieve {name} for resource", f"[principal_object_id] {name} not found for resource"
        ):
            graph.get(f"/servicePrincipals/{resource}")
        user = given.get("userObjectId")
        body = {
            "@odata.type": "#microsoft.graph.oAuth2PermissionGrant",
            "clientId": client,
            "consentType": "Principal" if user else "AllPrincipals",
            "resourceId": resource,
            "scope": self._scope(given),
        }
        if user:
            body["principalId"] = user
        with explained("Could not create delegated permission grant"):
            created = graph.post("/oauth2PermissionGrants", body, is_not_found)
        identifier = f"/oauth2PermissionGrants/{created['id']}"
        values = self.read(graph, identifier, {})
        return None if values is None else (identifier, values)

    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """GET."""
        grant_id = last_part(identifier)
        words = f'[id] Retrieving Delegated Permission Grant with ID "{identifier}"'
        grant = get_or_none(words, lambda: graph.get(f"/oauth2PermissionGrants/{grant_id}"))
        if grant is None:
            return None
        return state.from_graph(self.type.properties, grant) | {
            "id": f"/oauth2PermissionGrants/{grant_id}",
            "claimValues": sorted((grant.get("scope") or "").split()),
        }

    def update(self, graph: Graph, identifier: str, olds: Properties, inputs: Properties) -> Properties | None:
        """PATCH the scope, read."""
        scope = self._scope(plain(inputs))
        with explained(f"Updating {shown(identifier)}"):
            graph.patch(
                f"/oauth2PermissionGrants/{last_part(identifier)}",
                {"@odata.type": "#microsoft.graph.oAuth2PermissionGrant", "scope": scope},
            )
        return self.read(graph, identifier, olds)

    def _scope(self, given: Properties) -> str:
        return " ".join(state.set_order(self.type.properties["claimValues"], given["claimValues"]))

    def delete(self, graph: Graph, identifier: str, olds: Properties) -> None:
        """DELETE."""
        grant_id = last_part(identifier)
        with explained(f"[id] Deleting {shown(identifier)}"):
            graph.delete(f"/oauth2PermissionGrants/{grant_id}")
