"""The routes that clients ask before they come to Graph: cloud metadata, OpenID configuration, tokens."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.entra import identity, sign_in, tokens
from sandbox.entra.directory import Directory
from sandbox.entra.http import authority
from sandbox.entra.token_errors import unknown_tenant


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
