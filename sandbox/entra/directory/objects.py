"""The objects of a tenant: kept, changed as a whole or not at all, and looked up."""

from __future__ import annotations

import copy
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sandbox.entra import identity, permissions
from sandbox.entra.clock import Clock
from sandbox.entra.graph_errors import bad_request, denied, not_found, too_many_objects
from sandbox.entra.graph_objects import new_service_principal, parse_time, rfc3339
from sandbox.entra.store import Store
from sandbox.entra.tenant import Policy, State

Json = dict[str, Any]

DATA = Path(__file__).parents[1] / "data"
RESTORABLE = timedelta(days=30)
"""For how long Entra ID keeps what was deleted."""
KINDS = ("applications", "servicePrincipals")


class Objects:
    """What a tenant has, and what every change of it shares; the changes themselves are in a class for each kind."""

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

    def _is_new(self, identifier: str) -> None:
        self.born[identifier] = self.timer()
        if self.policy.hidden_reads:
            self.hidden[identifier] = self.policy.hidden_reads

    def has_settled(self, identifier: str, server: int) -> bool:
        """Whether a server of the token endpoint knows the application or service principal with this id."""
        return self.policy.settling.knows(server, identifier, self.timer() - self.born.get(identifier, 0.0))

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

    def _named_principal(self, body: Json, name: str) -> Json:
        principal = self.state.servicePrincipals.get(str(body.get(name)))
        if principal is None:
            raise bad_request(f"The {name} does not reference a service principal of this tenant.")
        return principal

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

    def _bury(self, item: Json, kind: str) -> None:
        buried = {**item, "deletedDateTime": rfc3339(self.clock.now()), "@odata.type": f"#microsoft.graph.{kind}"}
        self.state.deletedItems[item["id"]] = buried

    def _remove_principal(self, identifier: str) -> None:
        self._bury(self.state.servicePrincipals.pop(identifier), "servicePrincipal")
        for grant in [g for g in self.state.oauth2PermissionGrants.values() if g["clientId"] == identifier]:
            del self.state.oauth2PermissionGrants[grant["id"]]
        for entry in [e for e in self.state.appRoleAssignments.values() if e["principalId"] == identifier]:
            del self.state.appRoleAssignments[entry["id"]]
        for owners in self.state.owners.values():
            if identifier in owners:
                owners.remove(identifier)
