"""azuread:index/servicePrincipal: what an application is in a tenant."""

from __future__ import annotations

import uuid

from sandbox.azuread import state
from sandbox.azuread.diffing import difference
from sandbox.azuread.graph import Graph, ProviderError, RequestError
from sandbox.azuread.owners import change_owners, owner_references, settle_owners
from sandbox.azuread.resource import (
    BAD_REQUEST,
    DELETION_POLL,
    FORBIDDEN,
    IMPORT_IT,
    Answer,
    Json,
    Resource,
    explained,
    get_or_none,
    is_gone,
    last_part,
    poll,
    recorded,
    shown,
)
from sandbox.azuread.schema import ResourceType
from sandbox.azuread.tags import FEATURES, feature_tags, wanted_tags
from sandbox.azuread.values import Properties, plain


class ServicePrincipal(Resource):
    """azuread:index/servicePrincipal:ServicePrincipal."""

    def create(self, graph: Graph, inputs: Properties) -> Answer | None:
        """Look for one, POST with a temporary description, PATCH the right one, owners, read."""
        given = plain(inputs)
        with explained("Could not list existing service principals"):
            found = graph.get("/servicePrincipals", filter=f"appId eq '{given['clientId']}'")["value"]
        if found:
            return self._adopt(graph, found[0]["id"], inputs)
        owners = given.get("owners") or []
        body = state.to_graph(self.type.properties, given) | {
            "@odata.type": "#microsoft.graph.servicePrincipal",
            "description": f"TERRAFORM_UPDATE_{uuid.uuid4()}",
            "owners@odata.bind": owner_references(graph, owners),
            "samlSingleSignOnSettings": _saml_settings(given),
            "tags": wanted_tags(given),
        }
        with explained("Could not create service principal"):
            created = graph.post("/servicePrincipals", body, _application_not_seen_yet)
        identifier = f"/servicePrincipals/{created['id']}"
        with recorded(identifier, {"id": identifier, **given}):
            description = given.get("description") or None
            body = {"@odata.type": "#microsoft.graph.servicePrincipal", "description": description}
            late = "Timed out whilst waiting for new service principal to be replicated in Azure AD"
            with explained("Failed to patch service principal after creating", late):
                graph.patch(identifier, body)
            with explained(f"Could not add owners to {shown(identifier)}"):
                settle_owners(graph, identifier, owners)
            values = self.read(graph, identifier, state.kept(self.type, given))
        return self._created(identifier, given, values)

    def _adopt(self, graph: Graph, object_id: str, inputs: Properties) -> Answer | None:
        identifier = f"/servicePrincipals/{object_id}"
        if not inputs.get("useExisting"):
            raise ProviderError(
                f'[id] A resource with the ID "{object_id}" already exists: '
                + IMPORT_IT.format("azuread_service_principal")
            )
        values = self.update(graph, identifier, state.kept(self.type, plain(inputs)), inputs)
        return None if values is None else (identifier, values)

    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """GET, a beta GET for one property, owners."""
        object_id = last_part(identifier)
        words = f'Retrieving Service Principal (Service Principal: "{object_id}")'
        item = get_or_none(words, lambda: graph.get(f"/servicePrincipals/{object_id}"))
        if item is None:
            return None
        with explained(f"Retrieving {shown(identifier)} (beta API)"):
            values = described(self.type, graph, item)
        with explained(f"[owners] Could not retrieve owners for {shown(identifier)}"):
            owners = graph.get(f"/servicePrincipals/{object_id}/owners")["value"]
        return values | {"owners": sorted(owner["id"] for owner in owners), **state.kept(self.type, olds)}

    def update(self, graph: Graph, identifier: str, olds: Properties, inputs: Properties) -> Properties | None:
        """One PATCH, owners if they changed, read."""
        given, object_id = plain(inputs), last_part(identifier)
        changed = difference(self.type, olds, inputs).paths
        wanted = state.effective(self.type, inputs, olds)
        body = state.without_creation_only(
            self.type.properties, state.to_graph(self.type.properties, wanted), changed
        ) | {
            "@odata.type": "#microsoft.graph.servicePrincipal",
            "samlSingleSignOnSettings": _saml_settings({"samlSingleSignOn": olds.get("samlSingleSignOn"), **given}),
            "tags": wanted_tags(
                given if given.get("featureTags") or given.get("features") else {"tags": wanted.get("tags")}
            ),
        }
        path = f"/servicePrincipals/{object_id}"
        with explained(f"Updating {shown(identifier)}"):
            graph.patch(path, body)
        if "owners" in changed:
            with explained(f"Could not add owners to {shown(identifier)}"):
                change_owners(graph, path, given.get("owners") or [])
        values = self.read(graph, identifier, {**olds, **state.kept(self.type, given)})
        return self._updated(given, olds, values)

    def delete(self, graph: Graph, identifier: str, olds: Properties) -> None:
        """DELETE, then polls until it stays gone.

        With `useExisting` neither a refusal nor the outcome counts.
        """
        path = f"/servicePrincipals/{last_part(identifier)}"
        try:
            with explained(f"[id] Deleting {shown(identifier)}"):
                graph.delete(path)
        except ProviderError:
            if not olds.get("useExisting"):
                raise
        if not olds.get("useExisting"):
            with explained(f"Waiting for deletion of {shown(identifier)}"):
                poll(graph, DELETION_POLL, lambda: is_gone(graph, path))


def _application_not_seen_yet(error: RequestError) -> bool:
    """Whether Graph refuses a service principal because it has not seen the new application yet."""
    if error.status == BAD_REQUEST:
        return "does not reference a valid application object" in error.message
    return error.status == FORBIDDEN and "the backing application of the service principal" in error.message


def _saml_settings(values: Properties) -> Json:
    block = values.get("samlSingleSignOn")
    return {} if block is None else {"relayState": block.get("relayState") or ""}


def described(resource_type: ResourceType, graph: Graph, item: Json) -> Properties:
    """A service principal's properties but the owners. Asks beta for one of them."""
    beta = graph.get_beta(f"/servicePrincipals/{item['id']}", select="samlMetadataUrl")
    tags = item.get("tags") or []
    names = item.get("servicePrincipalNames") or []
    features = {
        "customSingleSignOnApp": FEATURES["customSingleSignOn"] in tags,
        "enterpriseApplication": FEATURES["enterprise"] in tags,
        "galleryApplication": FEATURES["gallery"] in tags,
        "visibleToUsers": FEATURES["hide"] not in tags,
    }
    return state.from_graph(resource_type.properties, item) | {
        "id": f"/servicePrincipals/{item['id']}",
        "appRoleIds": state.by_value(item.get("appRoles") or []),
        "featureTags": [feature_tags(tags)],
        "features": [features],
        "oauth2PermissionScopeIds": state.by_value(item.get("oauth2PermissionScopes") or []),
        "samlMetadataUrl": beta.get("samlMetadataUrl") or "",
        "servicePrincipalNames": [name for name in names if name != item.get("appId")],
    }
