"""HTTP routes of the stand-in: metadata, tokens, Graph v1.0 and beta, and the sandbox's own /_sandbox pages."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.entra import federation, identity, permissions, policies, query, sign_in, tokens
from sandbox.entra.behaviour import Behaviour
from sandbox.entra.clock import ClockOrder
from sandbox.entra.directory import KINDS, Directory
from sandbox.entra.graph_errors import GraphError, bad_request, invalid_property, not_found, unauthenticated
from sandbox.entra.token_errors import TokenError, unknown_tenant
from sandbox.faults import Fault, Faults, OwnAnswer, confirmation

Json = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]
NO_CONTENT = 204
OK = 200
AZURE_DEVOPS_LIFETIME = 600
"""Seconds, as a token of Azure DevOps lives at the shortest (azure-cli#28708)."""
ASSIGNMENT_SIDES = {"appRoleAssignments": "principalId", "appRoleAssignedTo": "resourceId"}
"""The two relations of a service principal that show app role assignments, and which end it is of each."""
NULL_SUBJECT = (
    '{"value":[{"issuer":""{"error":{"code":"InternalServerError","message":'
    "\"The property 'subject[Nullable=False]' of type 'Edm.String' has a null value, which is not allowed.\"}}}"
)
"""What v1.0 answers, with status 200, in place of a list with a flexible federated credential: no JSON.

Source: github.com/Azure/azure-workload-identity/issues/373, and for 2026 github.com/Azure/azure-cli/issues/32816.
"""
ORDERS: TypeAdapter[list[Behaviour | Fault]] = TypeAdapter(list[Behaviour | Fault])


def authority(request: Request) -> str:
    """The address under which the client reached the sandbox."""
    return f"https://{request.headers.get('host', 'localhost')}"


async def graph_error(request: Request, error: Exception) -> Response:
    """Graph's error body."""
    assert isinstance(error, GraphError)
    return JSONResponse(error.body(), error.status)


async def token_error(request: Request, error: Exception) -> Response:
    """The token endpoint's error body."""
    assert isinstance(error, TokenError)
    return JSONResponse(error.body(authority(request)), error.status)


async def no_route(request: Request, error: Exception) -> Response:
    """What Graph says of a path that it does not know."""
    segment = request.url.path.rsplit("/", 1)[-1]
    problem = GraphError(404, "BadRequest", f"Resource not found for the segment '{segment}'.")
    return JSONResponse(problem.body(), problem.status)


async def _body(request: Request) -> Json:
    raw = await request.body()
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        raise bad_request("Unable to read JSON request payload.") from None
    if not isinstance(body, dict):
        raise bad_request("Unable to read JSON request payload.")
    return body


def _owner_references(body: Json) -> list[str]:
    """Object ids behind owners@odata.bind."""
    return [str(reference).rstrip("/").rpartition("/")[2] for reference in body.get("owners@odata.bind") or []]


class Authority:
    """The parts that clients ask before they come to Graph: cloud metadata, OpenID configuration, tokens."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory

    def routes(self) -> list[Route]:
        """All of them need no token."""
        return [
            Route("/metadata/endpoints", self.metadata),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", self.openid),
            Route("/{tenant}/oauth2/v2.0/token", self.token, methods=["POST"]),
            Route("/{tenant}/oauth2/v2.0/devicecode", self.device_code, methods=["POST"]),
        ]

    async def metadata(self, request: Request) -> Response:
        """The cloud's endpoints, as https://management.azure.com/metadata/endpoints lists them."""
        here = authority(request)
        return JSONResponse(
            {
                "name": "AzureSandbox",
                "portal": here,
                "resourceManager": here,
                "microsoftGraphResourceId": f"{here}/",
                "graph": f"{here}/",
                "graphAudience": f"{here}/",
                "authentication": {
                    "loginEndpoint": here,
                    "audiences": [here],
                    "tenant": "common",
                    "identityProvider": "AAD",
                },
                "suffixes": {"keyVaultDns": "vault.localhost", "storage": "core.localhost"},
            }
        )

    async def openid(self, request: Request) -> Response:
        """OpenID configuration of the tenant."""
        tenant = request.path_params["tenant"]
        if tenant not in tokens.TENANT_NAMES and tenant not in sign_in.SHARED:
            raise unknown_tenant(tenant)
        here, base = authority(request), f"{authority(request)}/{tenant}"
        return JSONResponse(
            {
                "issuer": f"{here}/{identity.TENANT_ID}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "private_key_jwt",
                    "client_secret_basic",
                ],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
            }
        )

    async def token(self, request: Request) -> Response:
        """Client credentials, or a user's device code."""
        form = await self._form(request)
        answer = tokens.answer(self.directory, request.path_params["tenant"], form, authority(request))
        return JSONResponse(answer, headers={"cache-control": "no-store, no-cache"})

    async def device_code(self, request: Request) -> Response:
        """The beginning of a sign-in by device code."""
        form = await self._form(request)
        return JSONResponse(tokens.device_code(request.path_params["tenant"], form, authority(request)))

    @staticmethod
    async def _form(request: Request) -> dict[str, str]:
        return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))


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
            update(request.path_params["id"], await _body(request), request.state.caller)
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
            owner = str((await _body(request)).get("@odata.id", "")).rstrip("/").rpartition("/")[2]
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
        body = await _body(request)
        created = self.directory.create_application(body, request.state.caller, _owner_references(body))
        return self._one(request, "applications", created, 201)

    async def create_service_principal(self, request: Request) -> Response:
        """POST /servicePrincipals."""
        body = await _body(request)
        created = self.directory.create_service_principal(body, request.state.caller, _owner_references(body))
        return self._one(request, "servicePrincipals", created, 201)

    async def add_password(self, request: Request) -> Response:
        """POST /applications/{id}/addPassword."""
        credential = (await _body(request)).get("passwordCredential") or {}
        issued = self.directory.add_password(request.path_params["id"], credential, request.state.caller)
        return JSONResponse(self._annotated(request, "microsoft.graph.passwordCredential", issued))

    async def remove_password(self, request: Request) -> Response:
        """POST /applications/{id}/removePassword."""
        key_id = str((await _body(request)).get("keyId"))
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
        body, identifier = self._federated_body(request, await _body(request)), request.path_params["id"]
        made = self.directory.create_federated_credential(identifier, body, request.state.caller)
        return self._one(request, "federatedIdentityCredentials", made, 201)

    async def update_federated_credential(self, request: Request) -> Response:
        """PATCH /applications/{id}/federatedIdentityCredentials/{id or name}."""
        identifier, credential = request.path_params["id"], request.path_params["credential"]
        body = self._federated_body(request, await _body(request))
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
        entry = self.directory.assign_app_role(await _body(request))
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
        return self._one(request, "oauth2PermissionGrants", self.directory.create_grant(await _body(request)), 201)

    async def update_grant(self, request: Request) -> Response:
        """PATCH /oauth2PermissionGrants/{id}."""
        self.directory.update_grant(request.path_params["id"], await _body(request))
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


class Issuers:
    """Stand-ins for the OpenID issuers of GitHub, GitLab and Azure DevOps, which give the jobs of pipelines tokens."""

    def routes(self) -> list[Route]:
        """No token needed, but for the page that answers as GitHub's does."""
        one = "/_sandbox/oidc/{system}"
        return [
            Route(f"{one}/.well-known/openid-configuration", self.openid),
            Route(f"{one}/jwks", self.keys),
            Route(f"{one}/token", self.request_token),
            Route("/_sandbox/oidc/azure-devops/oidctoken", self.request_by_post, methods=["POST"]),
            Route("/_sandbox/oidc-token", self.mint, methods=["POST"]),
        ]

    async def openid(self, request: Request) -> Response:
        """An issuer's OpenID configuration."""
        return JSONResponse(federation.openid_configuration(authority(request), self._system(request)))

    async def keys(self, request: Request) -> Response:
        """An issuer's public keys."""
        return JSONResponse(federation.key_set(self._system(request)))

    async def request_token(self, request: Request) -> Response:
        """What a job on GitHub finds at ACTIONS_ID_TOKEN_REQUEST_URL; the subject is part of that address here."""
        if not request.headers.get("authorization", "").lower().startswith("bearer "):
            raise unauthenticated("The request token is missing.")
        return self._minted(request, {**request.query_params, "system": self._system(request)})

    async def request_by_post(self, request: Request) -> Response:
        """What a job on Azure DevOps finds at SYSTEM_OIDCREQUESTURI: each request makes a token of a few minutes.

        The subject and, to have it expire sooner, the lifetime are part of that address here. The connection is not
        looked up, but it has to be named, like the API's version.
        """
        given = dict(request.query_params)
        if not request.headers.get("authorization", "").lower().startswith("bearer "):
            raise unauthenticated("The access token of the job is missing.")
        if not given.pop("serviceConnectionId", "") or not given.pop("api-version", ""):
            return JSONResponse({"message": "serviceConnectionId and api-version are required."}, 400)
        minted = self._minted(request, {"lifetime": AZURE_DEVOPS_LIFETIME, **given, "system": "azure-devops"})
        if minted.status_code != OK:
            return minted
        return JSONResponse({"oidcToken": json.loads(bytes(minted.body))["value"]})

    async def mint(self, request: Request) -> Response:
        """A token of any system, with any subject; see sandbox.entra.federation."""
        return self._minted(request, await _body(request))

    @staticmethod
    def _system(request: Request) -> str:
        system = str(request.path_params["system"])
        if system not in federation.SYSTEMS:
            raise not_found(system)
        return system

    @staticmethod
    def _minted(request: Request, given: Json) -> Response:
        try:
            order = federation.TokenOrder.model_validate(given)
        except ValidationError as problem:
            return OwnAnswer({"error": {"code": "InvalidOrder", "message": str(problem)}}, 400)
        here = authority(request)
        return OwnAnswer({"value": federation.mint(here, order), "issuer": federation.issuer(here, order.system)})


class Sandbox:
    """The sandbox's own pages, which the real service does not have."""

    def __init__(self, directory: Directory, faults: Faults, requests: deque[Json]) -> None:
        self.directory = directory
        self.faults = faults
        self.requests = requests

    def routes(self) -> list[Route]:
        """No token needed: everything here stays on loopback."""
        return [
            Route("/_sandbox/state", self.state, methods=["GET"]),
            Route("/_sandbox/state", self.go_back, methods=["PUT"]),
            Route("/_sandbox/state", self.start_anew, methods=["DELETE"]),
            Route("/_sandbox/requests", self.seen, methods=["GET"]),
            Route("/_sandbox/requests", self.forget, methods=["DELETE"]),
            Route("/_sandbox/faults", self.list_faults, methods=["GET"]),
            Route("/_sandbox/faults", self.add_faults, methods=["POST"]),
            Route("/_sandbox/faults", self.clear_faults, methods=["DELETE"]),
            Route("/_sandbox/clock", self.read_clock, methods=["GET"]),
            Route("/_sandbox/clock", self.set_clock, methods=["POST"]),
            Route("/_sandbox/clock", self.reset_clock, methods=["DELETE"]),
        ]

    async def state(self, request: Request) -> Response:
        """What the tenant holds."""
        return OwnAnswer(self.directory.snapshot())

    async def go_back(self, request: Request) -> Response:
        """The tenant as a copy of its state file has it, on a day of good weather."""
        self._good_weather()
        self.directory.go_back_to(await _body(request))
        return Response(status_code=NO_CONTENT)

    async def start_anew(self, request: Request) -> Response:
        """A new tenant on a day of good weather."""
        self._good_weather()
        self.directory.start_anew()
        return Response(status_code=NO_CONTENT)

    def _good_weather(self) -> None:
        self.faults.clear()
        self.requests.clear()

    async def seen(self, request: Request) -> Response:
        """The last requests: method, path, status. No bodies."""
        return OwnAnswer({"value": list(self.requests)})

    async def forget(self, request: Request) -> Response:
        """Start counting anew."""
        self.requests.clear()
        return Response(status_code=NO_CONTENT)

    async def list_faults(self, request: Request) -> Response:
        """The faults that have not struck yet."""
        return OwnAnswer({"value": [fault.model_dump() for fault in self.faults.active]})

    async def add_faults(self, request: Request) -> Response:
        """One fault or behaviour, or a list of them; see sandbox.faults and sandbox.entra.behaviour."""
        try:
            given = json.loads(await request.body())
            orders = ORDERS.validate_python(given if isinstance(given, list) else [given])
        except (ValueError, ValidationError) as problem:
            return OwnAnswer({"error": {"code": "InvalidFault", "message": str(problem)}}, 400)
        for order in orders:
            if isinstance(order, Fault):
                self.faults.add(order)
            else:
                order.apply(self.directory)
        return OwnAnswer(confirmation(orders, self.faults))

    async def clear_faults(self, request: Request) -> Response:
        """Good weather again: no faults, no behaviours, no delay that goes on."""
        self.faults.end()
        Behaviour.model_validate(dict.fromkeys(Behaviour.model_fields.keys() - {"kind"})).apply(self.directory)
        self.directory.hidden.clear()
        return OwnAnswer(confirmation([], self.faults))

    async def read_clock(self, request: Request) -> Response:
        """The tenant's time."""
        return OwnAnswer({"now": self.directory.clock.now().isoformat()})

    async def set_clock(self, request: Request) -> Response:
        """Let the tenant's time run from the given one; see sandbox.entra.clock."""
        try:
            order = ClockOrder.model_validate_json(await request.body())
        except ValidationError as problem:
            return OwnAnswer({"error": {"code": "InvalidClock", "message": str(problem)}}, 400)
        self.directory.clock.set(order.now)
        return await self.read_clock(request)

    async def reset_clock(self, request: Request) -> Response:
        """Back to the real time."""
        self.directory.clock.reset()
        return await self.read_clock(request)
