"""What service principals are granted: application permissions, and delegated scopes."""

from __future__ import annotations

import secrets as randomness

from sandbox.entra.directory.objects import Json, Objects
from sandbox.entra.graph_errors import bad_request, conflict, not_found
from sandbox.entra.graph_objects import rfc3339, without_annotations


class AppRoleAssignments(Objects):
    """The application permissions of the service principals."""

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


class DelegatedGrants(Objects):
    """The consents to delegated scopes."""

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
