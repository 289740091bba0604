"""Service principals: what an application is in the tenant."""

from __future__ import annotations

from sandbox.entra import identity, rules
from sandbox.entra.directory.objects import Json, Objects
from sandbox.entra.graph_errors import GraphError, conflict
from sandbox.entra.graph_objects import merge, new_service_principal, writable


class ServicePrincipals(Objects):
    """The service principals of a tenant."""

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
