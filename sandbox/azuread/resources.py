"""What each resource type asks of Graph, request by request as recorded from the real provider.

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
NOT_FOUND = 404
POLLS = 5
"""The real provider believes a change when it has seen it this often in a row."""
MOST_POLLS = 120
SECRET_POLL, DELETION_POLL = 1.0, 5.0
"""Seconds between polls, if waits are asked for."""
CONSISTENCY_TRIES = 20
"""How often the first PATCH of a new object is repeated while Graph does not know it yet."""
PERSONAL_AUDIENCES = ("AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount")
FEATURES = {
    "customSingleSignOn": "WindowsAzureActiveDirectoryCustomSingleSignOnApplication",
    "enterprise": "WindowsAzureActiveDirectoryIntegratedApp",
    "gallery": "WindowsAzureActiveDirectoryGalleryApplicationNonPrimaryV1",
    "hide": "HideApp",
}
"""Feature tags and the Graph tags behind them."""

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

    def delete(self, graph: Graph, identifier: str) -> None:
        """Delete it and wait until Graph agrees."""


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


def poll(graph: Graph, seconds: float, seen: Callable[[], bool]) -> None:
    """Look until the change has been seen POLLS times in a row. Raises ProviderError if it never is."""
    in_a_row = 0
    for _ in range(MOST_POLLS):
        in_a_row = in_a_row + 1 if seen() else 0
        if in_a_row == POLLS:
            return
        graph.pause(seconds)
    raise ProviderError("timed out waiting for replication")


def is_gone(graph: Graph, path: str) -> bool:
    """Whether Graph answers 404."""
    try:
        graph.get(path)
    except RequestError as error:
        if error.status == NOT_FOUND:
            return True
        raise
    return False


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Put the provider's words in front of Graph's error."""
    try:
        yield
    except RequestError as error:
        raise ProviderError(f"{what}: {error}") from error


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
    return state.set_order(values.get("tags") or [])


def owner_references(graph: Graph, owners: list[str]) -> list[str]:
    """The owners to name in a creation: the caller always, and up to 19 others."""
    others = [owner for owner in state.set_order(owners) if owner != graph.caller]
    return [f"{graph.base}/v1.0/directoryObjects/{owner}" for owner in [graph.caller, *others[:19]]]


def settle_owners(graph: Graph, path: str, owners: list[str]) -> None:
    """After a creation: add the owners beyond the first 20, and remove the caller if the program leaves it out."""
    for owner in [owner for owner in state.set_order(owners) if owner != graph.caller][19:]:
        graph.post(f"{path}/owners/$ref", {"@odata.id": f"{graph.base}/v1.0/directoryObjects/{owner}"})
    if graph.caller not in owners:
        graph.delete(f"{path}/owners/{graph.caller}/$ref")


def change_owners(graph: Graph, path: str, wanted: list[str]) -> None:
    """Add and remove until the owners are as wanted."""
    present = [owner["id"] for owner in graph.get(f"{path}/owners")["value"]]
    for owner in state.set_order(wanted):
        if owner not in present:
            graph.post(f"{path}/owners/$ref", {"@odata.id": f"{graph.base}/v1.0/directoryObjects/{owner}"})
    for owner in present:
        if owner not in wanted:
            graph.delete(f"{path}/owners/{owner}/$ref")


def patch_new(graph: Graph, path: str, body: Json) -> None:
    """PATCH an object that was just created: 404 means that Graph has not caught up yet."""
    for attempt in range(CONSISTENCY_TRIES):
        try:
            graph.patch(path, body)
        except RequestError as error:
            if error.status != NOT_FOUND or attempt == CONSISTENCY_TRIES - 1:
                raise
            graph.pause(1.0)
        else:
            return


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
            with explained("Failed to patch application after creating"):
                name = {"@odata.type": "#microsoft.graph.application", "displayName": given["displayName"]}
                patch_new(graph, identifier, {**name, "displayName": f"TERRAFORM_UPDATE_{uuid.uuid4()}"})
                patch_new(graph, identifier, name)
                if given.get("oauth2PostResponseRequired"):
                    graph.request("PATCH", f"/beta{identifier}", body={"oauth2RequirePostResponse": True})
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
                f'An existing azuread_application with the ID "{found[0]["id"]}" was found with the same name "{name}" '
                "and `prevent_duplicate_names` was specified."
            )

    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """GET, a beta GET for one property, owners."""
        object_id = last_part(identifier)
        try:
            item = graph.get(f"/applications/{object_id}")
        except RequestError as error:
            if error.status == NOT_FOUND:
                return None
            raise ProviderError(f'Retrieving Application (Application: "{object_id}"): {error}') from error
        with explained(f'Could not retrieve application with object ID "{object_id}"'):
            beta = graph.get_beta(f"/applications/{object_id}", select="oauth2RequirePostResponse")
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
        path = f"/applications/{object_id}"
        with LOCKS.hold(object_id), explained(f'Could not update application with object ID: "{object_id}"'):
            graph.patch(path, body)
            if "oauth2PostResponseRequired" in changed:
                value = {"oauth2RequirePostResponse": bool(given.get("oauth2PostResponseRequired"))}
                graph.request("PATCH", f"/beta{path}", body=value)
            if "owners" in changed:
                change_owners(graph, path, given.get("owners") or [])
        values = self.read(graph, identifier, {**olds, **state.kept(self.type, given)})
        return None if values is None else state.after_update(self.type.properties, given, olds, values)

    def delete(self, graph: Graph, identifier: str) -> None:
        """DELETE, then polls until it stays gone."""
        object_id = last_part(identifier)
        with LOCKS.hold(object_id), explained(f'Deleting Application (Application: "{object_id}")'):
            graph.delete(f"/applications/{object_id}")
            poll(graph, DELETION_POLL, lambda: is_gone(graph, f"/applications/{object_id}"))


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
            created = self._post(graph, body)
        identifier = f"/servicePrincipals/{created['id']}"
        try:
            with explained("Failed to patch service principal after creating"):
                patch_new(
                    graph,
                    identifier,
                    {
                        "@odata.type": "#microsoft.graph.servicePrincipal",
                        "description": given.get("description") or None,
                    },
                )
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
                f'A resource with the ID "{object_id}" already exists - to be managed via Terraform this resource '
                "needs to be imported into the State. Please see the resource documentation for "
                '"azuread_service_principal" for more information.'
            )
        values = self.update(graph, identifier, state.kept(self.type, plain(inputs)), inputs)
        return None if values is None else (identifier, values)

    def _post(self, graph: Graph, body: Json) -> Json:
        """POST, repeated while Graph does not see the new application yet."""
        for attempt in range(CONSISTENCY_TRIES):
            try:
                return graph.post("/servicePrincipals", body)
            except RequestError as error:
                missing = "does not reference a valid application object" in error.message
                if not missing or attempt == CONSISTENCY_TRIES - 1:
                    raise
                graph.pause(1.0)
        raise AssertionError("unreachable")

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
        with explained(f'Could not retrieve service principal with object ID "{object_id}"'):
            values = described(self.type, graph, item)
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
        with explained(f'Updating service principal with object ID: "{object_id}"'):
            graph.patch(path, body)
            if "owners" in changed:
                change_owners(graph, path, given.get("owners") or [])
        values = self.read(graph, identifier, {**olds, **state.kept(self.type, given)})
        return None if values is None else state.after_update(self.type.properties, given, olds, values)

    def delete(self, graph: Graph, identifier: str) -> None:
        """DELETE, then polls until it stays gone."""
        object_id = last_part(identifier)
        with explained(f'Deleting Service Principal (Service Principal: "{object_id}")'):
            graph.delete(f"/servicePrincipals/{object_id}")
            poll(graph, DELETION_POLL, lambda: is_gone(graph, f"/servicePrincipals/{object_id}"))


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
        """GET the application, addPassword, polls until the secret stays visible, read."""
        given = plain(inputs)
        object_id = last_part(given["applicationId"])
        name = f'Application (Application: "{object_id}")'
        with LOCKS.hold(object_id):
            with explained(f"Retrieving {name}"):
                graph.get(f"/applications/{object_id}")
            with explained(f"Adding password for {name}"):
                issued = graph.post(
                    f"/applications/{object_id}/addPassword", {"passwordCredential": _credential(given)}
                )
            identifier = f"{object_id}/password/{issued['keyId']}"
            olds = {**given, "value": issued["secretText"]}
            try:
                with explained(f"Waiting for password credential for {name}"):
                    poll(graph, SECRET_POLL, lambda: _find(graph, object_id, issued["keyId"]) is not None)
                values = self.read(graph, identifier, olds)
            except ProviderError as problem:
                known = {"id": identifier, "keyId": issued["keyId"], **olds}
                raise PartialCreation(identifier, state.answer(self.type, known), str(problem)) from problem
        return None if values is None else (identifier, values)

    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """GET the application and look for the secret; its text comes from the last state."""
        object_id, _, key_id = identifier.partition("/password/")
        if not key_id:
            raise ProviderError(f'Parsing password credential with ID "{identifier}"')
        with explained(f'Retrieving Application (Application: "{object_id}")'):
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

    def delete(self, graph: Graph, identifier: str) -> None:
        """removePassword, then polls until it stays gone."""
        object_id, _, key_id = identifier.partition("/password/")
        words = f'Removing password credential "{key_id}" from Application (Application: "{object_id}")'
        with LOCKS.hold(object_id), explained(words):
            graph.post(f"/applications/{object_id}/removePassword", {"keyId": key_id})
            poll(graph, DELETION_POLL, lambda: _find(graph, object_id, key_id) is None)


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


def _find(graph: Graph, object_id: str, key_id: str) -> Json | None:
    try:
        application = graph.get(f"/applications/{object_id}")
    except RequestError as error:
        if error.status == NOT_FOUND:
            return None
        raise
    credentials: list[Json] = application.get("passwordCredentials") or []
    return next((credential for credential in credentials if credential["keyId"] == key_id), None)


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
        with explained(f'Could not retrieve service principal with object ID "{client}"'):
            graph.get(f"/servicePrincipals/{client}")
        with explained(f'Could not retrieve service principal for resource (Object ID: "{resource}")'):
            graph.get(f"/servicePrincipals/{resource}")
        user = given.get("userObjectId")
        body = {
            "@odata.type": "#microsoft.graph.oAuth2PermissionGrant",
            "clientId": client,
            "consentType": "Principal" if user else "AllPrincipals",
            "resourceId": resource,
            "scope": " ".join(state.set_order(given["claimValues"])),
        }
        if user:
            body["principalId"] = user
        with explained("Could not create delegated permission grant"):
            created = graph.post("/oauth2PermissionGrants", body)
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
            raise ProviderError(f'Retrieving Delegated Permission Grant with ID "{grant_id}": {error}') from error
        return state.from_graph(self.type.properties, grant) | {
            "id": f"/oauth2PermissionGrants/{grant_id}",
            "claimValues": sorted((grant.get("scope") or "").split()),
        }

    def update(self, graph: Graph, identifier: str, olds: Properties, inputs: Properties) -> Properties | None:
        """PATCH the scope, read."""
        scope = " ".join(state.set_order(plain(inputs)["claimValues"]))
        with explained("Could not update delegated permission grant"):
            graph.patch(
                f"/oauth2PermissionGrants/{last_part(identifier)}",
                {"@odata.type": "#microsoft.graph.oAuth2PermissionGrant", "scope": scope},
            )
        return self.read(graph, identifier, olds)

    def delete(self, graph: Graph, identifier: str) -> None:
        """DELETE."""
        grant_id = last_part(identifier)
        with explained(f'Deleting delegated permission grant with ID "{grant_id}"'):
            graph.delete(f"/oauth2PermissionGrants/{grant_id}")
