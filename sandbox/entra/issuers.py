"""The routes of the stand-ins for issuers of pipelines' tokens."""

from __future__ import annotations

import json

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.entra import federation
from sandbox.entra.graph_errors import not_found, unauthenticated
from sandbox.entra.http import OK, Json, authority, body_of
from sandbox.faults import OwnAnswer, rejection

AZURE_DEVOPS_LIFETIME = 600
"""Seconds, as a token of Azure DevOps lives at the shortest (azure-cli#28708)."""


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
        return self._minted(request, await body_of(request))

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
            return rejection(problem, "InvalidOrder")
        here = authority(request)
        return OwnAnswer({"value": federation.mint(here, order), "issuer": federation.issuer(here, order.system)})
