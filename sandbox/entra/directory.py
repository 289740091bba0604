"""The directory: applications, service principals, secrets, owners, federated credentials, grants, deleted items.

Knows nothing of HTTP. Every method that changes something saves the whole state before it returns; errors are
graph_errors.GraphError and leave the state as it was.
"""

from __future__ import annotations

import copy
import hashlib
import json
import secrets as randomness
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sandbox.entra import identity, permissions, rules
from sandbox.entra.clock import Clock
from sandbox.entra.graph_errors import GraphError, bad_request, conflict, denied, not_found, too_many_objects
from sandbox.entra.graph_objects import (
    merge,
    new_application,
    new_service_principal,
    parse_time,
    rfc3339,
    without_annotations,
    writable,
)
from sandbox.entra.store import Store
from sandbox.entra.tenant import Policy, State

Json = dict[str, Any]

DATA = Path(__file__).parent / "data"
DEFAULT_SECRET_LIFETIME = timedelta(days=2 * 365)
"""What Graph gives a secret whose end is not named."""
RESTORABLE = timedelta(days=30)
"""For how long Entra ID keeps what was deleted."""
KINDS = ("applications", "servicePrincipals")
EMPTIED = frozenset({"optionalClaims"})
"""What an empty object empties, instead of being merged: azuread's own acceptance tests remove it so."""


def secret_hash(text: str) -> str:
    """What is kept of a secret: enough to check it, not enough to use it. Secrets have 200 random bits, so no salt."""
    return hashlib.sha256(text.encode()).hexdigest()


class Directory:
    """One tenant's directory. emptied: the properties of an application that an empty object empties."""

    emptied = EMPTIED

    def __init__(
        self, store: Store | None, domain: str = identity.TENANT_DOMAIN, timer: Callable[[], float] = time.time
    ) -> None:
        """store None keeps the state in memory. domain: the tenant's initial domain, shown as publisherDomain.

        timer: the real time in seconds, by which new things settle.
        """
        self.store = store
        self.timer = timer
        self.domain = domain
        self.policy = Policy()
        self.clock = Clock()
        self.hidden: dict[str, int] = {}
        self.born: dict[str, float] = {}
        document = store.load() if store else None
        if document:
            self.state = State(**document)
            self._furnish()  # what an earlier version of the sandbox did not have yet
        else:
            self.start_anew()

    def start_anew(self) -> None:
        """A new tenant in place of this one: only the two callers, and Microsoft's own service principals."""
        self.policy = Policy()
        self.clock.reset()
        self.hidden = {}
        self.born = {}
        self.state = State()
        self._furnish()
        self._save()

    def go_back_to(self, document: Json) -> None:
        """The tenant as its state file held it once; policies and clock are as on the first day."""
        self.start_anew()
        self.state = State(**document)
        self._save()

    # State -----------------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        if self.store:
            self.store.save(vars(self.state))

    @contextmanager
    def _change(self) -> Iterator[State]:
        """Change the state as a whole or not at all, and save it."""
        before = copy.deepcopy(self.state)
        try:
            yield self.state
            self._save()
        except BaseException:
            self.state = before
            raise

    def _furnish(self) -> None:
        """What every tenant has: the service principals of the deployer, the administrator, and Microsoft."""
        built_in: list[Json] = json.loads((DATA / "service_principals.json").read_text(encoding="utf-8"))
        for template in built_in:
            principal = {**new_service_principal(template["appId"], template["displayName"]), **template}
            principal["id"] = str(uuid.uuid5(uuid.UUID(identity.TENANT_ID), template["appId"]))
            self.state.servicePrincipals[principal["id"]] = principal
        for object_id, app_id, name in (
            (identity.DEPLOYER_OBJECT_ID, identity.DEPLOYER_CLIENT_ID, identity.DEPLOYER_NAME),
            (identity.ADMINISTRATOR_OBJECT_ID, identity.ADMINISTRATOR_CLIENT_ID, identity.ADMINISTRATOR_NAME),
        ):
            caller = {**new_service_principal(app_id, name), "id": object_id}
            self.state.servicePrincipals[object_id] = caller

    def snapshot(self) -> Json:
        """What the directory holds, for people and tests: no secret, no hash, no signing key, no built-in objects."""
        principals = self.state.servicePrincipals.values()
        return copy.deepcopy(
            {
                "tenantId": identity.TENANT_ID,
                "deployer": {"clientId": identity.DEPLOYER_CLIENT_ID, "objectId": identity.DEPLOYER_OBJECT_ID},
                "applications": list(self.state.applications.values()),
                "servicePrincipals": [p for p in principals if p.get("appOwnerOrganizationId") == identity.TENANT_ID],
                "oauth2PermissionGrants": list(self.state.oauth2PermissionGrants.values()),
                "deletedItems": list(self.state.deletedItems.values()),
                "owners": self.state.owners,
                "federatedIdentityCredentials": self.state.federatedIdentityCredentials,
                "appRoleAssignments": list(self.state.appRoleAssignments.values()),
            }
        )

    # Reading ---------------------------------------------------------------------------------------------------------

    def objects(self, kind: str) -> list[Json]:
        """All objects of a collection, in the order in which they were made."""
        collection: dict[str, Json] = getattr(self.state, kind)
        return [item for item in collection.values() if not self._is_hidden(item["id"])]

    def get(self, kind: str, identifier: str) -> Json:
        """One object by id. Raises GraphError 404, also while eventual consistency hides a new object."""
        collection: dict[str, Json] = getattr(self.state, kind)
        if identifier not in collection:
            raise not_found(identifier)
        if self._is_hidden(identifier):
            raise not_found(identifier)
        return collection[identifier]

    def _is_hidden(self, identifier: str) -> bool:
        """Whether eventual consistency still hides an object; each look brings it nearer."""
        left = self.hidden.get(identifier, 0)
        if left:
            self.hidden[identifier] = left - 1
        return left > 0

    def by_app_id(self, kind: str, app_id: str) -> Json | None:
        """The application or service principal with this client ID, or None."""
        collection: dict[str, Json] = getattr(self.state, kind)
        return next((item for item in collection.values() if item["appId"] == app_id), None)

    def owners(self, kind: str, identifier: str) -> list[Json]:
        """The owners of an application or service principal, as directory objects."""
        self.get(kind, identifier)
        return [self._directory_object(owner) for owner in self.state.owners.get(identifier, [])]

    def _directory_object(self, identifier: str) -> Json:
        principal = self.state.servicePrincipals.get(identifier)
        if principal is None:
            return {"@odata.type": "#microsoft.graph.user", "id": identifier}
        return {"@odata.type": "#microsoft.graph.servicePrincipal", **principal}

    def directory_object(self, identifier: str) -> Json:
        """Any object by id. Raises GraphError 404."""
        if identifier in self.state.applications:
            return {"@odata.type": "#microsoft.graph.application", **self.get("applications", identifier)}
        if identifier not in identity.PEOPLE:
            self.get("servicePrincipals", identifier)
        return self._directory_object(identifier)

    def permissions(self, caller: str) -> frozenset[str]:
        """The application permissions of Microsoft Graph that a service principal has now."""
        graph = self.by_app_id("servicePrincipals", identity.GRAPH_APP_ID)
        values = {role["id"]: role["value"] for role in (graph or {}).get("appRoles") or []}
        mine = [entry for entry in self.state.appRoleAssignments.values() if entry["principalId"] == caller]
        assigned = {values[entry["appRoleId"]] for entry in mine if entry["appRoleId"] in values}
        return permissions.BUILT_IN.get(caller, frozenset()) | assigned

    def check_owner(self, identifier: str, caller: str) -> None:
        """Raise GraphError 403 for a caller that neither owns the object nor may change any application."""
        owns = caller in self.state.owners.get(identifier, [])
        if not owns and not permissions.may_change_any(self.permissions(caller)):
            raise denied()

    def _check_exists(self, kind: str, identifier: str) -> None:
        if identifier not in getattr(self.state, kind):
            raise not_found(identifier)

    def _check_known(self, owners: list[str]) -> None:
        """Raise GraphError 404 for the first of `owners` that is neither a user nor a service principal."""
        for owner in owners:
            if owner not in identity.PEOPLE and owner not in self.state.servicePrincipals:
                raise not_found(owner)

    def check_quota(self, caller: str) -> None:
        """Raise GraphError 403 for a caller that has made as many objects as it may; deleted ones count for 30 days.

        For 30 days more a quarter of what was deleted for good counts in Entra ID; here none of it does.
        """
        quota = self.policy.object_quota
        if quota is None or caller == identity.ADMINISTRATOR_OBJECT_ID:
            return
        kept = [*self.state.applications.values(), *self.state.servicePrincipals.values()]
        oldest = self.clock.now() - RESTORABLE
        deleted = self.state.deletedItems.values()
        kept += [item for item in deleted if parse_time(item["deletedDateTime"], "deletedDateTime") > oldest]
        if sum(self.state.makers.get(item["id"]) == caller for item in kept) >= quota:
            raise too_many_objects()

    # Applications ----------------------------------------------------------------------------------------------------

    def create_application(self, body: Json, caller: str, owners: list[str]) -> Json:
        """Register an application. owners: object ids besides the caller, who always becomes an owner."""
        self.check_quota(caller)
        self._check_known(owners)
        rules.check_owners_at_creation(owners)
        application: Json = merge(new_application(self.domain, self.clock.now()), writable(body))
        application["displayName"] = body.get("displayName")
        rules.check_application(application)
        with self._change() as state:
            state.applications[application["id"]] = application
            state.owners[application["id"]] = list(dict.fromkeys([*owners, caller]))
            state.makers[application["id"]] = caller
            self._is_new(application["id"])
        return application

    def update_application(self, identifier: str, body: Json, caller: str) -> None:
        """PATCH: objects are merged, arrays replaced, read-only properties left alone."""
        before = self.get("applications", identifier)
        self.check_owner(identifier, caller)
        change = writable(body)
        application = merge(before, change)
        application |= {name: {} for name in self.emptied if change.get(name) == {}}
        rules.check_application(application)
        rules.check_entitlements(before, application)
        with self._change() as state:
            state.applications[identifier] = application

    def delete_application(self, identifier: str, caller: str) -> None:
        """Move an application to the deleted items, and its service principal in this tenant with it."""
        self._check_exists("applications", identifier)
        self.check_owner(identifier, caller)
        with self._change() as state:
            application = state.applications.pop(identifier)
            self._bury(application, "application")
            for principal in [p for p in state.servicePrincipals.values() if p["appId"] == application["appId"]]:
                self._remove_principal(principal["id"])

    def add_password(self, identifier: str, credential: Json, caller: str) -> Json:
        """Issue a secret. The answer is the only place where its text is ever shown."""
        self._check_exists("applications", identifier)
        self.check_owner(identifier, caller)
        application = self.state.applications[identifier]
        moment = self.clock.now()
        start = parse_time(credential["startDateTime"], "startDateTime") if credential.get("startDateTime") else moment
        given_end = credential.get("endDateTime")
        end = parse_time(given_end, "endDateTime") if given_end else start + DEFAULT_SECRET_LIFETIME
        rules.check_secrets_allowed(self.policy.secrets_forbidden, self.policy.policy_id)
        rules.check_new_secret(application, start, end, self.policy.maximum_secret_lifetime, self.policy.policy_id)
        text = f"sbx8Q~{randomness.token_urlsafe(25)}"
        entry: Json = {
            "keyId": str(uuid.uuid4()),
            "displayName": credential.get("displayName"),
            "startDateTime": rfc3339(start),
            "endDateTime": rfc3339(end),
            "hint": text[:3],
            "customKeyIdentifier": None,
            "secretText": None,
        }
        with self._change() as state:
            state.applications[identifier]["passwordCredentials"].append(entry)
            state.secret_hashes[entry["keyId"]] = secret_hash(text)
            state.secret_times[entry["keyId"]] = self.timer()
        return {**entry, "secretText": text}

    def remove_password(self, identifier: str, key_id: str, caller: str) -> None:
        """Withdraw a secret. Raises GraphError 400 if the application has none with this id."""
        self._check_exists("applications", identifier)
        self.check_owner(identifier, caller)
        credentials = self.state.applications[identifier]["passwordCredentials"]
        if key_id not in [credential["keyId"] for credential in credentials]:
            raise bad_request("No password credential found with keyId.")
        with self._change() as state:
            kept = [credential for credential in credentials if credential["keyId"] != key_id]
            state.applications[identifier]["passwordCredentials"] = kept
            state.secret_hashes.pop(key_id, None)
            state.secret_times.pop(key_id, None)

    def secret_state(self, application: Json, text: str, server: int) -> str:
        """Whether the text is a secret of the application: "valid", "expired" or "unknown", as a server knows it."""
        digest = secret_hash(text)
        for credential in application["passwordCredentials"]:
            key_id = credential["keyId"]
            if not randomness.compare_digest(self.state.secret_hashes.get(key_id, ""), digest):
                continue
            if parse_time(credential["endDateTime"], "endDateTime") <= self.clock.now():
                return "expired"
            settling, age = self.policy.settling, self.timer() - self.state.secret_times.get(key_id, 0.0)
            if settling.knows(server, key_id, age):
                return "valid"
            return "expired" if settling.mistakes_for_expired() else "unknown"
        return "unknown"

    def has_settled(self, identifier: str, server: int) -> bool:
        """Whether a server of the token endpoint knows the application or service principal with this id."""
        return self.policy.settling.knows(server, identifier, self.timer() - self.born.get(identifier, 0.0))

    # Service principals ----------------------------------------------------------------------------------------------

    def create_service_principal(self, body: Json, caller: str, owners: list[str]) -> Json:
        """The presence of an application in the tenant. One for each application."""
        self.check_quota(caller)
        self._check_known(owners)
        rules.check_owners_at_creation(owners)
        app_id = body.get("appId")
        application = self.by_app_id("applications", str(app_id))
        if application is None:
            raise GraphError(
                400,
                "NoBackingApplicationObject",
                f"The appId '{app_id}' of the service principal does not reference a valid application object.",
            )
        self.check_owner(application["id"], caller)
        if self.by_app_id("servicePrincipals", application["appId"]):
            raise conflict(
                "The service principal cannot be created, updated, or restored because the service principal name "
                f"{app_id} is already in use."
            )
        principal = new_service_principal(application["appId"], application["displayName"])
        principal["appOwnerOrganizationId"] = identity.TENANT_ID
        principal["signInAudience"] = application["signInAudience"]
        principal["replyUrls"] = list((application.get("web") or {}).get("redirectUris") or [])
        principal["servicePrincipalNames"] = [application["appId"], *(application.get("identifierUris") or [])]
        principal = {**principal, **merge(principal, writable(body))}
        with self._change() as state:
            state.servicePrincipals[principal["id"]] = principal
            state.owners[principal["id"]] = list(dict.fromkeys([*owners, caller]))
            state.makers[principal["id"]] = caller
            self._is_new(principal["id"])
        return principal

    def update_service_principal(self, identifier: str, body: Json, caller: str) -> None:
        """PATCH, as for applications."""
        self.get("servicePrincipals", identifier)
        self.check_owner(identifier, caller)
        with self._change() as state:
            state.servicePrincipals[identifier] = merge(state.servicePrincipals[identifier], writable(body))

    def delete_service_principal(self, identifier: str, caller: str) -> None:
        """Move a service principal to the deleted items; its grants go with it."""
        self._check_exists("servicePrincipals", identifier)
        self.check_owner(identifier, caller)
        with self._change():
            self._remove_principal(identifier)

    def _remove_principal(self, identifier: str) -> None:
        self._bury(self.state.servicePrincipals.pop(identifier), "servicePrincipal")
        for grant in [g for g in self.state.oauth2PermissionGrants.values() if g["clientId"] == identifier]:
            del self.state.oauth2PermissionGrants[grant["id"]]
        for entry in [e for e in self.state.appRoleAssignments.values() if e["principalId"] == identifier]:
            del self.state.appRoleAssignments[entry["id"]]
        for owners in self.state.owners.values():
            if identifier in owners:
                owners.remove(identifier)

    # Owners ----------------------------------------------------------------------------------------------------------

    def add_owner(self, kind: str, identifier: str, owner: str, caller: str) -> None:
        """Raises GraphError 400 if it is an owner already, 404 if the tenant has neither such a user nor principal."""
        self._check_exists(kind, identifier)
        self.check_owner(identifier, caller)
        if owner != caller:
            permissions.check_new_owner(self.permissions(caller), person=owner in identity.PEOPLE)
        self._check_known([owner])
        if owner in self.state.owners[identifier]:
            raise bad_request(
                "One or more added object references already exist for the following modified properties: 'owners'."
            )
        rules.check_owners([*self.state.owners[identifier], owner])
        with self._change() as state:
            state.owners[identifier].append(owner)

    def remove_owner(self, kind: str, identifier: str, owner: str, caller: str) -> None:
        """Raises GraphError 404 if it is no owner. A caller that removes itself locks itself out."""
        self._check_exists(kind, identifier)
        self.check_owner(identifier, caller)
        if owner not in self.state.owners[identifier]:
            raise not_found(owner)
        with self._change() as state:
            state.owners[identifier].remove(owner)

    # Federated identity credentials ----------------------------------------------------------------------------------

    def federated_credentials(self, identifier: str) -> list[Json]:
        """Which foreign tokens an application may sign in with, in the order in which they were made."""
        self.get("applications", identifier)
        return self.state.federatedIdentityCredentials.get(identifier, [])

    def federated_credential(self, identifier: str, credential: str) -> Json:
        """One of them, by id or by name. Raises GraphError 404."""
        found = self.federated_credentials(identifier)
        match = next((item for item in found if credential in (item["id"], item["name"])), None)
        if match is None or self._is_hidden(match["id"]):
            raise not_found(credential)
        return match

    def create_federated_credential(self, identifier: str, body: Json, caller: str) -> Json:
        """Let tokens of an issuer with a subject and an audience sign in as the application, without a secret."""
        self._check_exists("applications", identifier)
        self.check_owner(identifier, caller)
        others = self.state.federatedIdentityCredentials.get(identifier, [])
        made: Json = {
            "id": str(uuid.uuid4()),
            "description": None,
            "subject": None,
            "claimsMatchingExpression": None,
            **without_annotations(body),
        }
        rules.check_federated_credential(made, others)
        with self._change() as state:
            state.federatedIdentityCredentials.setdefault(identifier, []).append(made)
            self._is_new(made["id"])
        return made

    def update_federated_credential(self, identifier: str, credential: str, body: Json, caller: str) -> None:
        """PATCH; the name stays."""
        self._check_exists("applications", identifier)
        self.check_owner(identifier, caller)
        old = self.federated_credential(identifier, credential)
        fixed = {"id": old["id"], "name": old["name"]}
        changed = {**old, **without_annotations(body), **fixed}
        items = self.state.federatedIdentityCredentials[identifier]
        rules.check_federated_credential(changed, [item for item in items if item is not old])
        with self._change() as state:
            kept = [changed if item["id"] == old["id"] else item for item in items]
            state.federatedIdentityCredentials[identifier] = kept

    def delete_federated_credential(self, identifier: str, credential: str, caller: str) -> None:
        """Tokens of that kind no longer sign in."""
        self._check_exists("applications", identifier)
        self.check_owner(identifier, caller)
        old = self.federated_credential(identifier, credential)
        with self._change() as state:
            state.federatedIdentityCredentials[identifier].remove(old)

    # App role assignments --------------------------------------------------------------------------------------------

    def assign_app_role(self, body: Json) -> Json:
        """Give a service principal an application permission of another one: what "admin consent" does for it."""
        principal, resource = (self._named_principal(body, name) for name in ("principalId", "resourceId"))
        role = body.get("appRoleId")
        if role not in [offered["id"] for offered in resource.get("appRoles") or []]:
            raise bad_request(f"Permission entry with ID {role} is not found on the resource {resource['id']}.")
        key = {"principalId": principal["id"], "resourceId": resource["id"], "appRoleId": role}
        if any(key.items() <= entry.items() for entry in self.state.appRoleAssignments.values()):
            raise bad_request("Permission being assigned already exists on the object.")
        entry = {
            **key,
            "id": randomness.token_urlsafe(32),
            "createdDateTime": rfc3339(self.clock.now()),
            "deletedDateTime": None,
            "principalDisplayName": principal["displayName"],
            "principalType": "ServicePrincipal",
            "resourceDisplayName": resource["displayName"],
        }
        with self._change() as state:
            state.appRoleAssignments[entry["id"]] = entry
        return entry

    def _named_principal(self, body: Json, name: str) -> Json:
        principal = self.state.servicePrincipals.get(str(body.get(name)))
        if principal is None:
            raise bad_request(f"The {name} does not reference a service principal of this tenant.")
        return principal

    def app_role_assignment(self, identifier: str, side: str, principal: str) -> Json:
        """An application permission of `principal`, which is its `side`. Raises GraphError 404."""
        entry = self.state.appRoleAssignments.get(identifier)
        if entry is None or entry[side] != principal:
            raise not_found(identifier)
        return entry

    def withdraw_app_role(self, identifier: str) -> None:
        """Take an application permission away."""
        self._check_exists("appRoleAssignments", identifier)
        with self._change() as state:
            del state.appRoleAssignments[identifier]

    # Delegated grants ------------------------------------------------------------------------------------------------

    def create_grant(self, body: Json) -> Json:
        """Consent to delegated scopes, for everyone (AllPrincipals) or one user (Principal)."""
        for name in ("clientId", "resourceId"):
            self._named_principal(body, name)
        if body.get("consentType") not in ("AllPrincipals", "Principal"):
            raise bad_request("Invalid value specified for property 'consentType' of resource 'OAuth2PermissionGrant'.")
        # One consent for everybody for each client and resource, whatever its scopes; else one for each user.
        user = body.get("principalId") if body["consentType"] == "Principal" else None
        same = {"clientId": body["clientId"], "resourceId": body["resourceId"], "consentType": body["consentType"]}
        for grant in self.state.oauth2PermissionGrants.values():
            if same.items() <= grant.items() and grant.get("principalId") == user:
                raise conflict("Permission entry already exists.")
        grant = {**without_annotations(body), "id": randomness.token_urlsafe(32), "principalId": user}
        with self._change() as state:
            state.oauth2PermissionGrants[grant["id"]] = grant
        return grant

    def update_grant(self, identifier: str, body: Json) -> None:
        """Only the scope can be changed."""
        self._check_exists("oauth2PermissionGrants", identifier)
        with self._change() as state:
            state.oauth2PermissionGrants[identifier]["scope"] = body.get("scope")

    def delete_grant(self, identifier: str) -> None:
        """Withdraw a consent."""
        self._check_exists("oauth2PermissionGrants", identifier)
        with self._change() as state:
            del state.oauth2PermissionGrants[identifier]

    # Deleted items ---------------------------------------------------------------------------------------------------

    def _bury(self, item: Json, kind: str) -> None:
        buried = {**item, "deletedDateTime": rfc3339(self.clock.now()), "@odata.type": f"#microsoft.graph.{kind}"}
        self.state.deletedItems[item["id"]] = buried

    def delete_forever(self, identifier: str) -> None:
        """Empty one item out of the bin, with its secrets."""
        self._check_exists("deletedItems", identifier)
        with self._change() as state:
            item = state.deletedItems.pop(identifier)
            state.owners.pop(identifier, None)
            state.federatedIdentityCredentials.pop(identifier, None)
            for credential in item.get("passwordCredentials") or []:
                state.secret_hashes.pop(credential["keyId"], None)
                state.secret_times.pop(credential["keyId"], None)

    def restore(self, identifier: str) -> Json:
        """Bring an item back as it was. Raises GraphError 409 if another service principal took its name."""
        self._check_exists("deletedItems", identifier)
        item = {key: value for key, value in self.state.deletedItems[identifier].items() if key != "@odata.type"}
        kind = self.state.deletedItems[identifier]["@odata.type"].rpartition(".")[2] + "s"
        if kind == "servicePrincipals" and self.by_app_id(kind, item["appId"]):
            raise conflict(
                "The service principal cannot be created, updated, or restored because the service principal name "
                f"{item['appId']} is already in use."
            )
        with self._change() as state:
            del state.deletedItems[identifier]
            restored: Json = {**item, "deletedDateTime": None}
            if kind == "servicePrincipals":
                del restored["deletedDateTime"]
            getattr(state, kind)[identifier] = restored
        return restored

    def _is_new(self, identifier: str) -> None:
        self.born[identifier] = self.timer()
        if self.policy.hidden_reads:
            self.hidden[identifier] = self.policy.hidden_reads
