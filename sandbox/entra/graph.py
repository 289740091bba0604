"""The routes of Graph, v1.0 and beta."""

from __future__ import annotations

from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.entra import identity, permissions, policies, query, tokens
from sandbox.entra.directory import KINDS, Directory
from sandbox.entra.graph_errors import invalid_property, not_found
from sandbox.entra.http import NO_CONTENT, Handler, Json, authority, body_of

ASSIGNMENT_SIDES = {"appRoleAssignments": "principalId", "appRoleAssignedTo": "resourceId"}
"""The two relations of a service principal that show app role assignments, and which end it is of each."""
NULL_SUBJECT = (
    '{"value":[{"issuer":""{"error":{"code":"InternalServerError","message":'
    "\"The property 'subject[Nullable=False]' of type 'Edm.String' has a null value, which is not allowed.\"}}}"
)
"""What v1.0 answers, with status 200, in place of a list with a flexible federated credential: no JSON.

Source: github.com/Azure/azure-workload-identity/issues/373, and for 2026 github.com/Azure/azure-cli/issues/32816.
"""


class Graph:
    """Microsoft Graph: v1.0, and beta with the same answers, but for flexible federated credentials."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory

    def routes(self) -> list[Route]:
        """Every route is served under /v1.0 and /beta."""
        return [route for version in ("/v1.0", "/beta") for route in self._routes(version)]

    def _routes(self, base: str) -> list[Route]:
        routes: list[Route] = []
        for kind in KINDS:
            create = self.create_application if kind == "applications" else self.create_service_principal
            item = f"{base}/{kind}/{{id}}"
            routes += [
                self._route(f"{base}/{kind}", GET=self._lister(kind), POST=create),
                self._route(f"{base}/{kind}(appId={{id}})", GET=self._getter(kind)),
                self._route(item, GET=self._getter(kind), PATCH=self._patcher(kind), DELETE=self._deleter(kind)),
                self._route(f"{item}/owners", GET=self._owner_lister(kind)),
                self._route(f"{item}/owners/$ref", POST=self._owner_adder(kind)),
                self._route(f"{item}/owners/{{owner}}/$ref", DELETE=self._owner_remover(kind)),
            ]
        grants, bin_ = f"{base}/oauth2PermissionGrants", f"{base}/directory/deletedItems"
        federated = f"{base}/applications/{{id}}/federatedIdentityCredentials"
        for relation, side in ASSIGNMENT_SIDES.items():
            path = f"{base}/servicePrincipals/{{id}}/{relation}"
            routes += [
                self._route(path, GET=self._assignment_lister(side), POST=self.assign_app_role),
                self._route(f"{path}/{{assignment}}", GET=self._assignment_getter(side), DELETE=self.withdraw_app_role),
            ]
        return [
            *routes,
            self._route(federated, GET=self.federated_credentials, POST=self.create_federated_credential),
            self._route(
                f"{federated}/{{credential}}",
                GET=self.federated_credential,
                PATCH=self.update_federated_credential,
                DELETE=self.delete_federated_credential,
            ),
            self._route(f"{base}/applications/{{id}}/addPassword", POST=self.add_password),
            self._route(f"{base}/applications/{{id}}/removePassword", POST=self.remove_password),
            self._route(f"{base}/servicePrincipals/{{id}}/oauth2PermissionGrants", GET=self.grants_of),
            self._route(grants, GET=self._lister("oauth2PermissionGrants"), POST=self.create_grant),
            self._route(
                f"{grants}/{{id}}",
                GET=self._getter("oauth2PermissionGrants"),
                PATCH=self.update_grant,
                DELETE=self.delete_grant,
            ),
            self._route(f"{bin_}/microsoft.graph.{{type}}", GET=self.deleted),
            self._route(f"{bin_}/graph.{{type}}", GET=self.deleted),
            self._route(f"{bin_}/{{id}}", GET=self._getter("deletedItems"), DELETE=self.delete_forever),
            self._route(f"{bin_}/{{id}}/restore", POST=self.restore),
            self._route(f"{base}/directoryObjects/{{id}}", GET=self.directory_object),
            self._route(f"{base}/organization", GET=self.organization),
            self._route(f"{base}/users", GET=self.users),
            self._route(f"{base}/policies/defaultAppManagementPolicy", GET=self.default_policy),
            self._route(f"{base}/policies/authorizationPolicy", GET=self.authorization_policy),
            self._route(f"{base}/applications/{{id}}/appManagementPolicies", GET=self.own_policies),
        ]

    def _route(self, path: str, **handlers: Handler) -> Route:
        """A route that checks the token and its holder's permissions, and picks the handler by method."""

        async def endpoint(request: Request) -> Response:
            key = self.directory.state.signing_key
            caller = tokens.caller(request.headers.get("authorization"), key)
            after_version = request.url.path.removeprefix("/v1.0").removeprefix("/beta")
            permissions.check(request.method, after_version, self.directory.permissions(caller))
            request.state.caller = caller
            # A browser asks HEAD where there is GET; Graph answers neither to methods it does not know.
            return await handlers[request.method](request)

        route = Route(path, endpoint, methods=list(handlers))
        route.methods = set(handlers)
        return route

    @staticmethod
    def _annotated(request: Request, kind: str, item: Json) -> Json:
        version = request.url.path.split("/")[1]
        context = f"{authority(request)}/{version}/$metadata#{kind}"
        return {"@odata.context": context, **item}

    def _one(self, request: Request, kind: str, item: Json, status: int = 200) -> Response:
        chosen = query.select(item, dict(request.query_params))
        return JSONResponse(self._annotated(request, f"{kind}/$entity", chosen), status)

    def _many(self, request: Request, kind: str, items: list[Json]) -> Response:
        address = f"{authority(request)}{request.url.path}"
        answer = query.page(items, dict(request.query_params), address)
        return JSONResponse(self._annotated(request, kind, answer))

    def _id(self, request: Request, kind: str) -> str:
        """The object id in the path, also where the path names the object by appId='…'."""
        raw = unquote(str(request.path_params["id"]))
        if not raw.startswith("'"):
            return raw
        found = self.directory.by_app_id(kind, raw.strip("'"))
        if found is None:
            raise not_found(raw.strip("'"))
        return str(found["id"])

    def _lister(self, kind: str) -> Handler:
        async def handler(request: Request) -> Response:
            items = self.directory.objects(kind)
            if request.query_params.get("$expand") == "owners" and kind in KINDS:
                items = [{**item, "owners": self.directory.owners(kind, item["id"])} for item in items]
            return self._many(request, kind, items)

        return handler

    def _getter(self, kind: str) -> Handler:
        async def handler(request: Request) -> Response:
            item = self.directory.get(kind, self._id(request, kind))
            if request.query_params.get("$expand") == "owners" and kind in KINDS:
                item = {**item, "owners": self.directory.owners(kind, item["id"])}
            return self._one(request, kind, item)

        return handler

    def _patcher(self, kind: str) -> Handler:
        async def handler(request: Request) -> Response:
            update = (
                self.directory.update_application if kind == "applications" else self.directory.update_service_principal
            )
            update(request.path_params["id"], await body_of(request), request.state.caller)
            return Response(status_code=NO_CONTENT)

        return handler

    def _deleter(self, kind: str) -> Handler:
        async def handler(request: Request) -> Response:
            delete = (
                self.directory.delete_application if kind == "applications" else self.directory.delete_service_principal
            )
            delete(request.path_params["id"], request.state.caller)
            return Response(status_code=NO_CONTENT)

        return handler

    def _owner_lister(self, kind: str) -> Handler:
        async def handler(request: Request) -> Response:
            return self._many(request, "directoryObjects", self.directory.owners(kind, request.path_params["id"]))

        return handler

    def _owner_adder(self, kind: str) -> Handler:
        async def handler(request: Request) -> Response:
            owner = str((await body_of(request)).get("@odata.id", "")).rstrip("/").rpartition("/")[2]
            self.directory.add_owner(kind, request.path_params["id"], owner, request.state.caller)
            return Response(status_code=NO_CONTENT)

        return handler

    def _owner_remover(self, kind: str) -> Handler:
        async def handler(request: Request) -> Response:
            identifier, owner = request.path_params["id"], request.path_params["owner"]
            self.directory.remove_owner(kind, identifier, owner, request.state.caller)
            return Response(status_code=NO_CONTENT)

        return handler

    async def create_application(self, request: Request) -> Response:
        """POST /applications."""
        body = await body_of(request)
        created = self.directory.create_application(body, request.state.caller, _owner_references(body))
        return self._one(request, "applications", created, 201)

    async def create_service_principal(self, request: Request) -> Response:
        """POST /servicePrincipals."""
        body = await body_of(request)
        created = self.directory.create_service_principal(body, request.state.caller, _owner_references(body))
        return self._one(request, "servicePrincipals", created, 201)

    async def add_password(self, request: Request) -> Response:
        """POST /applications/{id}/addPassword."""
        credential = (await body_of(request)).get("passwordCredential") or {}
        issued = self.directory.add_password(request.path_params["id"], credential, request.state.caller)
        return JSONResponse(self._annotated(request, "microsoft.graph.passwordCredential", issued))

    async def remove_password(self, request: Request) -> Response:
        """POST /applications/{id}/removePassword."""
        key_id = str((await body_of(request)).get("keyId"))
        self.directory.remove_password(request.path_params["id"], key_id, request.state.caller)
        return Response(status_code=NO_CONTENT)

    async def federated_credentials(self, request: Request) -> Response:
        """GET /applications/{id}/federatedIdentityCredentials."""
        found = self.directory.federated_credentials(request.path_params["id"])
        if any(item.get("subject") is None for item in found) and not self._is_beta(request):
            return Response(NULL_SUBJECT, media_type="application/json")
        return self._many(request, "federatedIdentityCredentials", found)

    @staticmethod
    def _is_beta(request: Request) -> bool:
        return request.url.path.startswith("/beta/")

    def _federated_body(self, request: Request, body: Json) -> Json:
        """v1.0 knows no flexible federated credentials. Raises GraphError."""
        if body.get("claimsMatchingExpression") is not None and not self._is_beta(request):
            raise invalid_property("claimsMatchingExpression", "FederatedIdentityCredential")
        return body

    async def federated_credential(self, request: Request) -> Response:
        """GET /applications/{id}/federatedIdentityCredentials/{id or name}."""
        found = self.directory.federated_credential(request.path_params["id"], request.path_params["credential"])
        return self._one(request, "federatedIdentityCredentials", found)

    async def create_federated_credential(self, request: Request) -> Response:
        """POST /applications/{id}/federatedIdentityCredentials."""
        body, identifier = self._federated_body(request, await body_of(request)), request.path_params["id"]
        made = self.directory.create_federated_credential(identifier, body, request.state.caller)
        return self._one(request, "federatedIdentityCredentials", made, 201)

    async def update_federated_credential(self, request: Request) -> Response:
        """PATCH /applications/{id}/federatedIdentityCredentials/{id or name}."""
        identifier, credential = request.path_params["id"], request.path_params["credential"]
        body = self._federated_body(request, await body_of(request))
        self.directory.update_federated_credential(identifier, credential, body, request.state.caller)
        return Response(status_code=NO_CONTENT)

    async def delete_federated_credential(self, request: Request) -> Response:
        """DELETE /applications/{id}/federatedIdentityCredentials/{id or name}."""
        identifier, credential = request.path_params["id"], request.path_params["credential"]
        self.directory.delete_federated_credential(identifier, credential, request.state.caller)
        return Response(status_code=NO_CONTENT)

    def _assignment_lister(self, side: str) -> Handler:
        async def handler(request: Request) -> Response:
            principal = self.directory.get("servicePrincipals", request.path_params["id"])
            entries = self.directory.objects("appRoleAssignments")
            mine = [entry for entry in entries if entry[side] == principal["id"]]
            return self._many(request, "appRoleAssignments", mine)

        return handler

    def _assignment_getter(self, side: str) -> Handler:
        async def handler(request: Request) -> Response:
            principal, assignment = request.path_params["id"], request.path_params["assignment"]
            found = self.directory.app_role_assignment(assignment, side, principal)
            return self._one(request, "appRoleAssignments", found)

        return handler

    async def assign_app_role(self, request: Request) -> Response:
        """POST /servicePrincipals/{id}/appRoleAssignments or …/appRoleAssignedTo."""
        self.directory.get("servicePrincipals", request.path_params["id"])
        entry = self.directory.assign_app_role(await body_of(request))
        return self._one(request, "appRoleAssignments", entry, 201)

    async def withdraw_app_role(self, request: Request) -> Response:
        """DELETE /servicePrincipals/{id}/appRoleAssignments/{id} or …/appRoleAssignedTo/{id}."""
        self.directory.withdraw_app_role(request.path_params["assignment"])
        return Response(status_code=NO_CONTENT)

    async def grants_of(self, request: Request) -> Response:
        """GET /servicePrincipals/{id}/oauth2PermissionGrants."""
        principal = self.directory.get("servicePrincipals", request.path_params["id"])
        grants = self.directory.objects("oauth2PermissionGrants")
        return self._many(
            request, "oauth2PermissionGrants", [grant for grant in grants if grant["clientId"] == principal["id"]]
        )

    async def create_grant(self, request: Request) -> Response:
        """POST /oauth2PermissionGrants."""
        return self._one(request, "oauth2PermissionGrants", self.directory.create_grant(await body_of(request)), 201)

    async def update_grant(self, request: Request) -> Response:
        """PATCH /oauth2PermissionGrants/{id}."""
        self.directory.update_grant(request.path_params["id"], await body_of(request))
        return Response(status_code=NO_CONTENT)

    async def delete_grant(self, request: Request) -> Response:
        """DELETE /oauth2PermissionGrants/{id}."""
        self.directory.delete_grant(request.path_params["id"])
        return Response(status_code=NO_CONTENT)

    async def deleted(self, request: Request) -> Response:
        """GET /directory/deletedItems/microsoft.graph.application or .servicePrincipal."""
        wanted = f"#microsoft.graph.{request.path_params['type']}"
        items = [item for item in self.directory.objects("deletedItems") if item["@odata.type"] == wanted]
        return self._many(request, "directoryObjects", items)

    async def delete_forever(self, request: Request) -> Response:
        """DELETE /directory/deletedItems/{id}."""
        self.directory.get("deletedItems", request.path_params["id"])
        self.directory.check_owner(request.path_params["id"], request.state.caller)
        self.directory.delete_forever(request.path_params["id"])
        return Response(status_code=NO_CONTENT)

    async def restore(self, request: Request) -> Response:
        """POST /directory/deletedItems/{id}/restore."""
        self.directory.get("deletedItems", request.path_params["id"])
        self.directory.check_owner(request.path_params["id"], request.state.caller)
        return self._one(request, "directoryObjects", self.directory.restore(request.path_params["id"]))

    async def directory_object(self, request: Request) -> Response:
        """GET /directoryObjects/{id}."""
        return self._one(request, "directoryObjects", self.directory.directory_object(request.path_params["id"]))

    async def default_policy(self, request: Request) -> Response:
        """GET /policies/defaultAppManagementPolicy."""
        policy = self.directory.policy
        found = policies.default_app_management_policy(policy.maximum_secret_lifetime, policy.secrets_forbidden)
        return self._one(request, "policies/defaultAppManagementPolicy", found)

    async def authorization_policy(self, request: Request) -> Response:
        """GET /policies/authorizationPolicy."""
        return self._one(
            request, "policies/authorizationPolicy", policies.authorization_policy(self.directory.policy.consent)
        )

    async def own_policies(self, request: Request) -> Response:
        """GET /applications/{id}/appManagementPolicies: no application has one of its own here."""
        self.directory.get("applications", self._id(request, "applications"))
        return self._many(request, "appManagementPolicies", [])

    async def organization(self, request: Request) -> Response:
        """GET /organization: the tenant's name and domain."""
        domain = {"name": self.directory.domain, "isDefault": True, "isInitial": True, "type": "Managed"}
        tenant = {"id": identity.TENANT_ID, "displayName": identity.TENANT_NAME, "verifiedDomains": [domain]}
        return self._many(request, "organization", [tenant])

    async def users(self, request: Request) -> Response:
        """GET /users: the tenant has none, so that only the permission matters."""
        return self._many(request, "users", [])


def _owner_references(body: Json) -> list[str]:
    """Object ids behind owners@odata.bind."""
    return [str(reference).rstrip("/").rpartition("/")[2] for reference in body.get("owners@odata.bind") or []]
