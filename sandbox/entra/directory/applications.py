"""Applications: made, changed and deleted."""

from __future__ import annotations

from sandbox.entra import rules
from sandbox.entra.directory.objects import Json, Objects
from sandbox.entra.graph_objects import merge, new_application, writable

EMPTIED = frozenset({"optionalClaims"})
"""What an empty object empties, instead of being merged: azuread's own acceptance tests remove it so."""


class Applications(Objects):
    """The applications of a tenant. emptied: the properties that an empty object empties."""

    emptied = EMPTIED

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
