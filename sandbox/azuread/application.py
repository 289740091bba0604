"""azuread:index/application: an application registration."""

from __future__ import annotations

import uuid

from sandbox.azuread import state
from sandbox.azuread.diffing import difference
from sandbox.azuread.graph import Graph, ProviderError, RequestError
from sandbox.azuread.owners import change_owners, owner_references, settle_owners
from sandbox.azuread.resource import (
    BAD_REQUEST,
    CONFLICT,
    DELETION_POLL,
    IMPORT_IT,
    LOCKS,
    NOT_FOUND,
    SECRET_POLL,
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
from sandbox.azuread.tags import feature_tags, wanted_tags
from sandbox.azuread.values import Properties, plain

PERSONAL_AUDIENCES = ("AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount")


class Application(Resource):
    """azuread:index/application:Application."""

    def plan_error(self, inputs: Properties) -> str | None:
        """The limits of the personal audiences that the real provider checks itself."""
        if inputs.get("signInAudience") not in PERSONAL_AUDIENCES:
            return None
        both = "`sign_in_audience` is " + " or ".join(f'"{audience}"' for audience in PERSONAL_AUDIENCES)
        if (inputs.get("api") or {}).get("requestedAccessTokenVersion", 1) == 1:
            return f"`requested_access_token_version` must be 2 when {both}"
        for access in inputs.get("requiredResourceAccesses") or []:
            if isinstance(access, dict) and len(access.get("resourceAccesses") or []) > 30:
                return (
                    "maximum of 30 `resource_access` blocks for each `required_resource_access` block are supported "
                    f"when {both}"
                )
        return None

    def create(self, graph: Graph, inputs: Properties) -> Answer | None:
        """POST, a PATCH with a temporary name and back (to see that Graph has caught up), owners, read."""
        given = plain(inputs)
        if given.get("preventDuplicateNames"):
            self._reject_duplicate(graph, given["displayName"])
        body = state.to_graph(self.type.properties, given)
        owners = given.get("owners") or []
        body |= {
            "@odata.type": "#microsoft.graph.application",
            "groupMembershipClaims": ",".join(given.get("groupMembershipClaims") or []) or None,
            "optionalClaims": {},
            "owners@odata.bind": owner_references(graph, owners),
            "tags": wanted_tags(given),
        }
        with explained("Could not create application"):
            created = graph.post("/applications", body)
        identifier = f"/applications/{created['id']}"
        with recorded(identifier, {"id": identifier, **given}):
            name = {"@odata.type": "#microsoft.graph.application", "displayName": given["displayName"]}
            words = f'Failed to patch application with object ID "{created["id"]}" after creating'
            with explained(words, "Timed out whilst waiting for new application to be replicated in Azure AD"):
                temporary = {**name, "displayName": f"TERRAFORM_UPDATE_{uuid.uuid4()}"}
                graph.patch(identifier, temporary, is_inconsistent)
                graph.patch(identifier, name, is_inconsistent)
            if given.get("oauth2PostResponseRequired"):
                with explained(f"Failed to set `oauth2_post_response_required` for {shown(identifier)}"):
                    value = {"oauth2RequirePostResponse": True}
                    graph.request("PATCH", f"/beta{identifier}", body=value, again=is_inconsistent)
            with explained(f'Could not add owners to application with object ID: "{created["id"]}"'):
                settle_owners(graph, identifier, owners)
            values = self.read(graph, identifier, state.kept(self.type, given))
        return self._created(identifier, given, values)

    def _reject_duplicate(self, graph: Graph, name: str) -> None:
        quoted = name.replace("'", "''")
        with explained("Could not check for existing application(s)"):
            found = graph.get("/applications", filter=f"displayName eq '{quoted}'")["value"]
        if found:
            raise ProviderError(
                f'[id] An existing "azuread_application" with name "{name}" (ID: "{found[0]["id"]}") was found and '
                "`prevent_duplicate_names` was specified: " + IMPORT_IT.format("azuread_application")
            )

    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """GET, a beta GET for one property, owners."""
        object_id = last_part(identifier)
        words = f'[id] Retrieving Application (Application: "{object_id}")'
        item = get_or_none(words, lambda: graph.get(f"/applications/{object_id}"))
        if item is None:
            return None
        with explained(f"Retrieving additional properties for {shown(identifier)}"):
            beta = graph.get_beta(f"/applications/{object_id}", select="oauth2RequirePostResponse")
        with explained(f"[owners] Could not retrieve owners for {shown(identifier)}"):
            owners = graph.get(f"/applications/{object_id}/owners")["value"]
        tags = item.get("tags") or []
        values = state.from_graph(self.type.properties, item)
        claims = item.get("groupMembershipClaims", "")
        return values | {
            "id": f"/applications/{object_id}",
            "appRoleIds": state.by_value(item.get("appRoles") or []),
            "featureTags": [feature_tags(tags)],
            "groupMembershipClaims": [] if claims is None else sorted(claims.split(",")),
            "logoImage": olds.get("logoImage") or "",
            "logoUrl": (item.get("info") or {}).get("logoUrl") or "",
            "oauth2PermissionScopeIds": state.by_value((item.get("api") or {}).get("oauth2PermissionScopes") or []),
            "oauth2PostResponseRequired": bool(beta.get("oauth2RequirePostResponse")),
            "owners": sorted(owner["id"] for owner in owners),
            "templateId": item.get("applicationTemplateId") or "",
            **state.kept(self.type, olds),
        }

    def update(self, graph: Graph, identifier: str, olds: Properties, inputs: Properties) -> Properties | None:
        """One PATCH with everything that may always be sent, owners if they changed, read."""
        given, object_id = plain(inputs), last_part(identifier)
        changed = difference(self.type, olds, inputs).paths
        wanted = state.effective(self.type, inputs, olds)
        body = state.without_creation_only(
            self.type.properties, state.to_graph(self.type.properties, wanted), changed
        ) | {
            "@odata.type": "#microsoft.graph.application",
            "groupMembershipClaims": ",".join(given.get("groupMembershipClaims") or []) or None,
            "tags": wanted_tags(given if given.get("featureTags") else {"tags": wanted.get("tags")}),
        }
        if "optionalClaims" in body and not given.get("optionalClaims"):
            body["optionalClaims"] = {}
        path = f"/applications/{object_id}"
        with LOCKS.hold(object_id):
            if "appRoles" in body:
                disable(graph, path, what="App Roles", attribute="app_role", where="appRoles", wanted=body["appRoles"])
            if "oauth2PermissionScopes" in body["api"]:
                wanted_scopes = body["api"]["oauth2PermissionScopes"]
                attribute, where = "api.0.oauth2_permission_scope", "api.oauth2PermissionScopes"
                disable(
                    graph, path, what="OAuth2 Permission Scopes", attribute=attribute, where=where, wanted=wanted_scopes
                )
            with explained(f'Could not update application with object ID: "{object_id}"'):
                graph.patch(path, body)
            if "oauth2PostResponseRequired" in changed:
                value = {"oauth2RequirePostResponse": bool(given.get("oauth2PostResponseRequired"))}
                with explained(f"Failed to set `oauth2_post_response_required` for {shown(identifier)}"):
                    graph.request("PATCH", f"/beta{path}", body=value)
            if "owners" in changed:
                with explained(f'Could not add owners to application with object ID: "{object_id}"'):
                    change_owners(graph, path, given.get("owners") or [])
        values = self.read(graph, identifier, {**olds, **state.kept(self.type, given)})
        return self._updated(given, olds, values)

    def delete(self, graph: Graph, identifier: str, olds: Properties) -> None:
        """DELETE, then polls until it stays gone."""
        object_id = last_part(identifier)
        path = f"/applications/{object_id}"
        with LOCKS.hold(object_id):
            try:
                graph.delete(path)
            except RequestError as error:
                raise ProviderError(f"[id] deleting {shown(identifier)}: {error}: {error}") from error
            with explained(f'Waiting for deletion of application with object ID "{object_id}"'):
                poll(graph, DELETION_POLL, lambda: is_gone(graph, path))


def disable(graph: Graph, path: str, what: str, attribute: str, where: str, wanted: list[Json]) -> None:
    """Disable the app roles or exposed scopes that an application has and shall have no more, as Entra ID demands it.

    attribute: what the provider calls them. where: their path in Graph's object. GET, and only if there are any: PATCH,
    and polls until they are disabled.
    """
    *above, name = where.split(".")
    kept = {item["id"] for item in wanted}

    def present() -> list[Json]:
        found = graph.get(path)
        for part in above:
            found = found.get(part) or {}
        items: list[Json] = found.get(name) or []
        return items

    with explained(f'[{attribute}] Could not disable {what} for application with object ID "{last_part(path)}"'):
        items = [{key: value for key, value in item.items() if key != "origin"} for item in present()]
        if all(item["id"] in kept for item in items):
            return
        body: Json = {name: [item if item["id"] in kept else {**item, "isEnabled": False} for item in items]}
        for part in above:
            body = {part: body}
        graph.patch(path, {"@odata.type": "#microsoft.graph.application", **body})
        poll(graph, SECRET_POLL, lambda: not any(i["isEnabled"] for i in present() if i["id"] not in kept), times=1)


def is_inconsistent(error: RequestError) -> bool:
    """Whether a change of a new application has to be repeated: Graph has not caught up with what was done before."""
    enabled = "cannot be deleted or updated unless disabled first" in error.message
    return error.status in (NOT_FOUND, CONFLICT) or (error.status == BAD_REQUEST and enabled)
