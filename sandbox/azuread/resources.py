"""What each resource type asks of Graph, request by request as recorded from the real provider.

Words of errors that no recording has are those of its public source; an error of one attribute begins with its name.

Every class has the same four methods. `read` answers None for an object that is gone; `create` and `update` answer the
id with the properties, None if the object is gone at once. Errors are ProviderError in the real provider's words.
"""

from __future__ import annotations

import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sandbox.azuread import state
from sandbox.azuread.diffing import difference
from sandbox.azuread.graph import Graph, ProviderError, RequestError
from sandbox.azuread.schema import ResourceType
from sandbox.azuread.values import Properties, plain

Json = dict[str, Any]
BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT = 400, 403, 404, 409
POLLS = 5
"""The real provider believes a change when it has seen it this often in a row."""
MOST_POLLS = 120
SECRET_POLL, DELETION_POLL = 1.0, 5.0
"""Seconds between polls, if waits are asked for."""
PERSONAL_AUDIENCES = ("AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount")
FEATURES = {
    "customSingleSignOn": "WindowsAzureActiveDirectoryCustomSingleSignOnApplication",
    "enterprise": "WindowsAzureActiveDirectoryIntegratedApp",
    "gallery": "WindowsAzureActiveDirectoryGalleryApplicationNonPrimaryV1",
    "hide": "HideApp",
}
"""Feature tags and the Graph tags behind them."""

IMPORT_IT = (
    "To be managed via Terraform, this resource needs to be imported into the State. Please see the resource "
    'documentation for "{}" for more information.'
)

Answer = tuple[str, Properties]


class Resource(Protocol):
    """What the service needs of a resource type."""

    type: ResourceType

    def plan_error(self, inputs: Properties) -> str | None:
        """The error that is certain already in a preview."""

    def create(self, graph: Graph, inputs: Properties) -> Answer | None:
        """Create it and read it back."""

    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """Its properties now. olds: the last state, {} for an import."""

    def update(self, graph: Graph, identifier: str, olds: Properties, inputs: Properties) -> Properties | None:
        """Change it in place and read it back."""

    def delete(self, graph: Graph, identifier: str, olds: Properties) -> None:
        """Delete it and wait until Graph agrees. olds: the last state."""


class PartialCreation(ProviderError):
    """The object exists, but what came after its creation failed: the engine must remember it."""

    def __init__(self, identifier: str, properties: Properties, reason: str) -> None:
        super().__init__(reason)
        self.identifier = identifier
        self.properties = properties


class Locks:
    """One lock for each application: its secrets are changed one after the other."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold the lock of one application."""
        with self._locks[name]:
            yield


LOCKS = Locks()


def poll(graph: Graph, seconds: float, seen: Callable[[], bool], times: int | None = None) -> None:
    """Look until the change has been seen so often (POLLS times) in a row. Raises ProviderError if it never is."""
    in_a_row = 0
    for _ in range(MOST_POLLS):
        in_a_row = in_a_row + 1 if seen() else 0
        if in_a_row == (times or POLLS):
            return
        graph.pause(seconds)
    raise ProviderError("timed out waiting for replication")


def is_gone(graph: Graph, path: str, version: str = "v1.0") -> bool:
    """Whether Graph answers 404."""
    try:
        graph.request("GET", f"/{version}{path}")
    except RequestError as error:
        if error.status == NOT_FOUND:
            return True
        raise
    return False


@contextmanager
def explained(what: str, if_not_found: str | None = None) -> Iterator[None]:
    """Put the provider's words in front of Graph's error; other ones for a 404, if they are given."""
    try:
        yield
    except RequestError as error:
        words = if_not_found if if_not_found is not None and error.status == NOT_FOUND else what
        raise ProviderError(f"{words}: {error}") from error


def shown(identifier: str) -> str:
    """An application, a service principal or a grant in the words of the provider's SDK."""
    _, kind, object_id = identifier.split("/")
    name = {
        "applications": "Application",
        "servicePrincipals": "Service Principal",
        "oauth2PermissionGrants": "O Auth 2 Permission Grant",
    }[kind]
    return f'{name} ({name}: "{object_id}")'


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


def last_part(identifier: str) -> str:
    """The object id in an id such as /applications/<id>."""
    return identifier.rpartition("/")[2]


def feature_tags(tags: list[str]) -> Properties:
    """The featureTags block for Graph tags."""
    return {name: tag in tags for name, tag in FEATURES.items()}


def wanted_tags(values: Properties) -> list[str]:
    """Graph tags from `tags`, or from a featureTags or features block where the program gives one."""
    for block in values.get("featureTags") or []:
        return [FEATURES[name] for name, on in block.items() if on]
    for block in values.get("features") or []:
        asked = {
            "customSingleSignOn": block.get("customSingleSignOnApp"),
            "enterprise": block.get("enterpriseApplication"),
            "gallery": block.get("galleryApplication"),
            "hide": block.get("visibleToUsers") is False,
        }
        return [FEATURES[name] for name, on in asked.items() if on]
    return state.text_order(values.get("tags") or [])


def owner_references(graph: Graph, owners: list[str]) -> list[str]:
    """The owners to name in a creation: the caller always, and up to 19 others."""
    others = [owner for owner in state.text_order(owners) if owner != graph.caller]
    return [f"{graph.base}/v1.0/directoryObjects/{owner}" for owner in [graph.caller, *others[:19]]]


def settle_owners(graph: Graph, path: str, owners: list[str]) -> None:
    """After a creation: add the owners beyond the first 20, and remove the caller if the program leaves it out."""
    for owner in [owner for owner in state.text_order(owners) if owner != graph.caller][19:]:
        graph.post(f"{path}/owners/$ref", {"@odata.id": f"{graph.base}/v1.0/directoryObjects/{owner}"})
    if graph.caller not in owners:
        graph.delete(f"{path}/owners/{graph.caller}/$ref")


def change_owners(graph: Graph, path: str, wanted: list[str]) -> None:
    """Add and remove until the owners are as wanted."""
    present = [owner["id"] for owner in graph.get(f"{path}/owners")["value"]]
    for owner in state.text_order(wanted):
        if owner not in present:
            graph.post(f"{path}/owners/$ref", {"@odata.id": f"{graph.base}/v1.0/directoryObjects/{owner}"})
    for owner in present:
        if owner not in wanted:
            graph.delete(f"{path}/owners/{owner}/$ref")


def is_inconsistent(error: RequestError) -> bool:
    """Whether a change of a new application has to be repeated: Graph has not caught up with what was done before."""
    enabled = "cannot be deleted or updated unless disabled first" in error.message
    return error.status in (NOT_FOUND, CONFLICT) or (error.status == BAD_REQUEST and enabled)


def is_not_found(error: RequestError) -> bool:
    """Whether Graph does not know the object."""
    return error.status == NOT_FOUND


def by_value(items: list[Json]) -> dict[str, str]:
    """Ids of scopes or roles, by their names."""
    return {str(item["value"]): str(item["id"]) for item in items if item.get("value")}


class Application:
    """azuread:index/application:Application."""

    def __init__(self, resource_type: ResourceType) -> None:
        self.type = resource_type

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
        try:
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
        except ProviderError as problem:
            raise PartialCreation(identifier, {"id": identifier, **given}, str(problem)) from problem
        if values is None:
            return None
        return identifier, state.after_create(self.type.properties, given, values)

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
        try:
            item = graph.get(f"/applications/{object_id}")
        except RequestError as error:
            if error.status == NOT_FOUND:
                return None
            raise ProviderError(f'[id] Retrieving Application (Application: "{object_id}"): {error}') from error
        with explained(f"Retrieving additional properties for {shown(identifier)}"):
            beta = graph.get_beta(f"/applications/{object_id}", select="oauth2RequirePostResponse")
        with explained(f"[owners] Could not retrieve owners for {shown(identifier)}"):
            owners = graph.get(f"/applications/{object_id}/owners")["value"]
        tags = item.get("tags") or []
        values = state.from_graph(self.type.properties, item)
        claims = item.get("groupMembershipClaims", "")
        return values | {
            "id": f"/applications/{object_id}",
            "appRoleIds": by_value(item.get("appRoles") or []),
            "featureTags": [feature_tags(tags)],
            "groupMembershipClaims": [] if claims is None else sorted(claims.split(",")),
            "logoImage": olds.get("logoImage") or "",
            "logoUrl": (item.get("info") or {}).get("logoUrl") or "",
            "oauth2PermissionScopeIds": by_value((item.get("api") or {}).get("oauth2PermissionScopes") or []),
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
                disable(graph, path, "App Roles", "app_role", "appRoles", body["appRoles"])
            if "oauth2PermissionScopes" in body["api"]:
                wanted_scopes = body["api"]["oauth2PermissionScopes"]
                attribute, where = "api.0.oauth2_permission_scope", "api.oauth2PermissionScopes"
                disable(graph, path, "OAuth2 Permission Scopes", attribute, where, wanted_scopes)
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
        return None if values is None else state.after_update(self.type.properties, given, olds, values)

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


class ServicePrincipal:
    """azuread:index/servicePrincipal:ServicePrincipal."""

    def __init__(self, resource_type: ResourceType) -> None:
        self.type = resource_type

    def plan_error(self, inputs: Properties) -> str | None:
        """No error is certain in a preview."""
        return None

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
        try:
            description = given.get("description") or None
            body = {"@odata.type": "#microsoft.graph.servicePrincipal", "description": description}
            late = "Timed out whilst waiting for new service principal to be replicated in Azure AD"
            with explained("Failed to patch service principal after creating", late):
                graph.patch(identifier, body)
            with explained(f"Could not add owners to {shown(identifier)}"):
                settle_owners(graph, identifier, owners)
            values = self.read(graph, identifier, state.kept(self.type, given))
        except ProviderError as problem:
            raise PartialCreation(identifier, {"id": identifier, **given}, str(problem)) from problem
        if values is None:
            return None
        return identifier, state.after_create(self.type.properties, given, values)

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
        try:
            item = graph.get(f"/servicePrincipals/{object_id}")
        except RequestError as error:
            if error.status == NOT_FOUND:
                return None
            problem = f'Retrieving Service Principal (Service Principal: "{object_id}"): {error}'
            raise ProviderError(problem) from error
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
        return None if values is None else state.after_update(self.type.properties, given, olds, values)

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
        "appRoleIds": by_value(item.get("appRoles") or []),
        "featureTags": [feature_tags(tags)],
        "features": [features],
        "oauth2PermissionScopeIds": by_value(item.get("oauth2PermissionScopes") or []),
        "samlMetadataUrl": beta.get("samlMetadataUrl") or "",
        "servicePrincipalNames": [name for name in names if name != item.get("appId")],
    }


class ApplicationPassword:
    """azuread:index/applicationPassword:ApplicationPassword. Nothing of it can be changed in place."""

    def __init__(self, resource_type: ResourceType) -> None:
        self.type = resource_type

    def plan_error(self, inputs: Properties) -> str | None:
        """No error is certain in a preview."""
        return None

    def create(self, graph: Graph, inputs: Properties) -> Answer | None:
        """GET the application, addPassword, polls until the secret stays visible, read.

        A wait that fails, for a 404, too, leaves the secret without a state: the provider notes its id only afterwards.
        """
        given = plain(inputs)
        object_id = last_part(given["applicationId"])
        name = f'Application (Application: "{object_id}")'
        with LOCKS.hold(object_id):
            with explained(f"[application_id] Retrieving {name}"):
                graph.get(f"/applications/{object_id}")
            with explained(f"Adding password for {name}"):
                issued = graph.post(
                    f"/applications/{object_id}/addPassword", {"passwordCredential": _credential(given)}
                )
            with explained(f"Waiting for password credential for {name}"):
                poll(graph, SECRET_POLL, lambda: _held(graph, object_id, issued["keyId"]) is not None)
            identifier = f"{object_id}/password/{issued['keyId']}"
            olds = {**given, "value": issued["secretText"]}
            try:
                values = self.read(graph, identifier, olds)
            except ProviderError as problem:
                known = {"id": identifier, **olds}
                raise PartialCreation(identifier, state.answer(self.type, known), str(problem)) from problem
        return None if values is None else (identifier, values)

    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """GET the application and look for the secret; its text comes from the last state."""
        object_id, _, key_id = identifier.partition("/password/")
        if not key_id:
            raise ProviderError(f'Parsing password credential with ID "{identifier}"')
        with explained(f'[application_id] Retrieving Application (Application: "{object_id}")'):
            credential = _find(graph, object_id, key_id)
        if credential is None:
            return None
        return {
            "id": identifier,
            "applicationId": f"/applications/{object_id}",
            "displayName": credential.get("displayName") or "",
            "endDate": credential.get("endDateTime") or "",
            "keyId": key_id,
            "startDate": credential.get("startDateTime") or "",
            **state.kept(self.type, olds),
        }

    def update(self, graph: Graph, identifier: str, olds: Properties, inputs: Properties) -> Properties | None:
        """Asked for only after a creation that failed half-way, since every property replaces: read."""
        return self.read(graph, identifier, olds)

    def delete(self, graph: Graph, identifier: str, olds: Properties) -> None:
        """removePassword, then polls until it stays gone."""
        object_id, _, key_id = identifier.partition("/password/")
        name = f'password credential "{key_id}" from Application (Application: "{object_id}")'
        with LOCKS.hold(object_id):
            with explained(f"Removing {name}"):
                graph.post(f"/applications/{object_id}/removePassword", {"keyId": key_id})
            with explained(f"Waiting for deletion of {name}: retrieving resource"):
                poll(graph, DELETION_POLL, lambda: _held(graph, object_id, key_id) is None)


def _credential(given: Properties) -> Json:
    end, start = given.get("endDate"), given.get("startDate")
    if relative := given.get("endDateRelative"):
        begin = datetime.fromisoformat(start) if start else datetime.now(UTC)
        end = (begin + go_duration(relative)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    named = {"displayName": given.get("displayName"), "endDateTime": end, "startDateTime": start}
    return {name: value for name, value in named.items() if value}


def go_duration(text: str) -> timedelta:
    """A duration as Go writes it, such as 240h or 2400h30m. Raises ProviderError if it is none."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    total, number = 0.0, ""
    for letter in text:
        if letter.isdigit() or letter == ".":
            number += letter
        elif letter in units and number:
            total, number = total + float(number) * units[letter], ""
        else:
            number = "?"
            break
    if number or not text:
        raise ProviderError(f'unable to parse `end_date_relative` ("{text}") as a duration')
    return timedelta(seconds=total)


def _held(graph: Graph, object_id: str, key_id: str) -> Json | None:
    """A secret of an application that exists. Raises RequestError."""
    application = graph.get(f"/applications/{object_id}")
    credentials: list[Json] = application.get("passwordCredentials") or []
    return next((credential for credential in credentials if credential["keyId"] == key_id), None)


def _find(graph: Graph, object_id: str, key_id: str) -> Json | None:
    """The same of an application that may be gone."""
    try:
        return _held(graph, object_id, key_id)
    except RequestError as error:
        if error.status == NOT_FOUND:
            return None
        raise


class PermissionGrant:
    """azuread:index/servicePrincipalDelegatedPermissionGrant:ServicePrincipalDelegatedPermissionGrant."""

    def __init__(self, resource_type: ResourceType) -> None:
        self.type = resource_type

    def plan_error(self, inputs: Properties) -> str | None:
        """No error is certain in a preview."""
        return None

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
        try:
            grant = graph.get(f"/oauth2PermissionGrants/{grant_id}")
        except RequestError as error:
            if error.status == NOT_FOUND:
                return None
            raise ProviderError(
                f'[id] Retrieving Delegated Permission Grant with ID "{identifier}": {error}'
            ) from error
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
