"""The Graph client: configuration from the environment, a token, and requests that are retried as the real ones are.

Built on http.client because importing httpx would double the plugin's start-up time.
"""

from __future__ import annotations

import base64
import http.client
import json
import math
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

Json = dict[str, Any]
PUBLIC_METADATA_HOST = "management.azure.com"
MINIMUM_TOKEN_LIFETIME = 1200
"""Seconds; the real provider rejects a token that expires sooner."""
ANSWER_SECONDS = 60.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 61.0
"""Seconds between retries: doubled each time, or what Retry-After says."""
DEFAULT_PATIENCE = 300.0
"""Seconds that a call may take if its resource type does not say."""
REPEATED_AFTER_BREAKS = ("GET", "HEAD", "OPTIONS")
"""The methods that are sent again after a broken connection; of the others it is unknown whether Graph carried
them out."""
WAITS_VARIABLE = "SANDBOX_AZUREAD_WAITS"
"""Set to `real` to wait between polls as long as the real provider does (4 s a secret, 20 s a deletion)."""
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FEDERATION_AUDIENCE = "api://AzureADTokenExchange"
AZURE_DEVOPS_API = "7.1"


FINAL = (ssl.SSLCertVerificationError, ConnectionRefusedError)
"""What ends a request at once, whatever its method."""


class ProviderError(Exception):
    """An error in the provider's words, ready for the engine."""


@dataclass
class RequestError(Exception):
    """An error of Graph. Its text reads as the real provider's."""

    status: int
    code: str
    message: str

    def __str__(self) -> str:
        phrase = HTTPStatus(self.status).phrase if self.status in HTTPStatus._value2member_map_ else ""
        return f"unexpected status {self.status} ({self.status} {phrase}) with error: {self.code}: {self.message}"


class NoAnswer(RequestError):
    """No answer came, in the words of Go's HTTP client. status: 0."""

    def __init__(self, method: str, address: str, reason: str) -> None:
        super().__init__(0, "", f'{method.title()} "{address}": {reason}')

    def __str__(self) -> str:
        return self.message


def never(error: RequestError) -> bool:
    """No error is a reason to send a request again."""
    return False


def most_retries(patience: float) -> int:
    """How often a request is repeated within so many seconds: the waits of 1, 2, 4, 8, 16, 32 and then 61 s fit."""
    return int(math.log2(patience + 1)) - 1 if patience <= 63 else int((patience - 63) // LONGEST_WAIT) + 6


@dataclass(frozen=True)
class Configuration:
    """The server, and the caller. Secret and tokens stay out of the repr.

    The caller shows client_secret; without one assertion, a token of a pipeline; without that either, the token that
    request_url gives to a caller with request_token, by POST for a service connection of Azure DevOps.
    """

    metadata_host: str
    tenant_id: str
    client_id: str
    client_secret: str = ""
    assertion: str = ""
    request_url: str = ""
    request_token: str = ""
    connection: str = ""

    def __repr__(self) -> str:
        return f"Configuration({self.metadata_host!r}, {self.tenant_id!r}, {self.client_id!r}, …)"


def configuration(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> Configuration:
    """Provider configuration first, then ARM_* variables, as the real one. Raises ProviderError if one is missing."""

    def value(name: str, *variables: str) -> str:
        found = (environment.get(variable) for variable in variables)
        return str(arguments.get(name) or next(filter(None, found), ""))

    federated = value("useOidc", "ARM_USE_OIDC").lower() in ("true", "1")
    asked = federated and not value("clientSecret", "ARM_CLIENT_SECRET")
    found = Configuration(
        metadata_host=value("metadataHost", "ARM_METADATA_HOSTNAME") or PUBLIC_METADATA_HOST,
        tenant_id=value("tenantId", "ARM_TENANT_ID"),
        client_id=value("clientId", "ARM_CLIENT_ID"),
        client_secret=value("clientSecret", "ARM_CLIENT_SECRET"),
        assertion=_assertion(value) if asked else "",
        request_url=value(
            "oidcRequestUrl", "ARM_OIDC_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_URL", "SYSTEM_OIDCREQUESTURI"
        ),
        request_token=value(
            "oidcRequestToken", "ARM_OIDC_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "SYSTEM_ACCESSTOKEN"
        ),
        connection=value(
            "adoPipelineServiceConnectionId",
            "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID",
            "ARM_OIDC_AZURE_SERVICE_CONNECTION_ID",
        ),
    )
    missing = [
        name for name, text in (("ARM_TENANT_ID", found.tenant_id), ("ARM_CLIENT_ID", found.client_id)) if not text
    ]
    can_ask = federated and found.request_url and found.request_token
    if not (found.client_secret or found.assertion or can_ask):
        missing.append("ARM_OIDC_TOKEN" if federated else "ARM_CLIENT_SECRET")
    if missing:
        raise ProviderError(
            "unable to build authorizer for Microsoft Graph API: the sandbox's stand-in for azuread signs in with a "
            f"client secret, or with ARM_USE_OIDC and a pipeline's token, and {', '.join(missing)} is not set"
        )
    return found


def _assertion(value: Callable[..., str]) -> str:
    """The pipeline's token itself, or the content of the file that is named."""
    token, path = value("oidcToken", "ARM_OIDC_TOKEN"), value("oidcTokenFilePath", "ARM_OIDC_TOKEN_FILE_PATH")
    if not path:
        return token
    try:
        content = Path(path).read_text(encoding="utf-8").strip()
    except OSError as problem:
        raise ProviderError(f"reading OIDC Token from file {path!r}: {problem.strerror}") from problem
    if token and token != content:
        raise ProviderError("mismatch between supplied OIDC token and supplied OIDC token file contents")
    return content


@dataclass(frozen=True)
class Reply:
    """An HTTP answer, read to its end."""

    status: int
    reason: str
    retry_after: str
    content: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.content)


class Graph:
    """One signed-in client. Safe to use from several threads: as in the real provider, each request has a connection
    of its own."""

    def __init__(
        self,
        chosen: Configuration,
        environment: Mapping[str, str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Ask the metadata, then sign in. Raises ProviderError if either fails."""
        environment = os.environ if environment is None else environment
        self.sleep = sleep
        self._call = threading.local()
        self.polls_wait = environment.get(WAITS_VARIABLE) == "real"
        self.tls = ssl.create_default_context(cafile=environment.get("SSL_CERT_FILE"))
        self.configuration = chosen
        metadata = self._metadata()
        self.base = str(metadata["microsoftGraphResourceId"]).rstrip("/")
        self.token = self._sign_in(str(metadata["authentication"]["loginEndpoint"]).rstrip("/"))
        self.claims = claims(self.token)

    @property
    def caller(self) -> str:
        """Object id of the principal that asks."""
        return str(self.claims["oid"])

    def _send(self, method: str, address: str, headers: Mapping[str, str], content: bytes | None = None) -> Reply:
        """One request on a new connection. Raises OSError or http.client.HTTPException if no answer comes."""
        parts = urlsplit(address)
        connection = http.client.HTTPSConnection(parts.netloc, timeout=ANSWER_SECONDS, context=self.tls)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        try:
            connection.request(method, target, content, {"accept": "application/json", **headers})
            answer = connection.getresponse()
            retry_after = answer.getheader("retry-after") or ""
            return Reply(answer.status, answer.reason, retry_after, answer.read())
        finally:
            connection.close()

    def _metadata(self) -> Json:
        address = f"https://{self.configuration.metadata_host}/metadata/endpoints?api-version=2022-09-01"
        try:
            answer = self._send("GET", address, {})
            document: Json = answer.json()
        except (OSError, http.client.HTTPException, ValueError) as problem:
            raise ProviderError(f"retrieving environments from Azure MetaData service: {problem}") from problem
        if answer.status != HTTPStatus.OK:
            raise ProviderError(f"retrieving environments from Azure MetaData service: HTTP status {answer.status}")
        return document

    def _sign_in(self, login: str) -> str:
        form = {
            "client_id": self.configuration.client_id,
            "grant_type": "client_credentials",
            "scope": f"{self.base}/.default",
            **self._proof(),
        }
        address = f"{login}/{self.configuration.tenant_id}/oauth2/v2.0/token"
        headers = {"content-type": "application/x-www-form-urlencoded"}
        try:
            answer = self._send("POST", address, headers, urlencode(form).encode())
        except (OSError, http.client.HTTPException) as problem:
            raise ProviderError(f"building client: unable to obtain access token: {problem}") from problem
        if answer.status != HTTPStatus.OK:
            text = f"received HTTP status {answer.status} with response: {answer.text}"
            raise ProviderError(f"building client: unable to obtain access token: clientCredentialsToken: {text}")
        document = answer.json()
        if document["expires_in"] <= MINIMUM_TOKEN_LIFETIME:
            raise ProviderError("building client: the access token expires too soon")
        return str(document["access_token"])

    def _proof(self) -> dict[str, str]:
        """What shows the token endpoint the caller."""
        chosen = self.configuration
        if chosen.client_secret:
            return {"client_secret": chosen.client_secret}
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": chosen.assertion or self._ask_pipeline()}

    def _ask_pipeline(self) -> str:
        """The token that the pipeline's system gives to this job, asked for as GitHub or Azure DevOps wants it."""
        parts = urlsplit(self.configuration.request_url)
        method, asked, key, name = "GET", {"audience": FEDERATION_AUDIENCE}, "value", "githubAssertion"
        if connection := self.configuration.connection:
            method, key, name = "POST", "oidcToken", "adoPipelineAssertion"
            asked |= {"api-version": AZURE_DEVOPS_API, "serviceConnectionId": connection}
        query = urlencode({**dict(parse_qsl(parts.query)), **asked})
        headers = {"authorization": f"Bearer {self.configuration.request_token}"}
        try:
            answer = self._send(method, parts._replace(query=query).geturl(), headers)
        except (OSError, http.client.HTTPException) as problem:
            raise ProviderError(f"{name}: cannot request token: {problem}") from problem
        if answer.status != HTTPStatus.OK:
            text = f"received HTTP status {answer.status} with response: {answer.text}"
            raise ProviderError(f"building client: unable to obtain access token: {name}: {text}")
        return str(answer.json()[key])

    def get(self, path: str, **query: str) -> Json:
        """GET under v1.0. Raises RequestError."""
        return self.request("GET", f"/v1.0{path}", query=query)

    def get_beta(self, path: str, **query: str) -> Json:
        """GET under beta. Raises RequestError."""
        return self.request("GET", f"/beta{path}", query=query)

    def post(self, path: str, body: Json, again: Callable[[RequestError], bool] = never) -> Json:
        """POST under v1.0, also repeated for errors that `again` names. Raises RequestError."""
        return self.request("POST", f"/v1.0{path}", body=body, again=again)

    def patch(self, path: str, body: Json, again: Callable[[RequestError], bool] = never) -> None:
        """PATCH under v1.0, also repeated for errors that `again` names. Raises RequestError."""
        self.request("PATCH", f"/v1.0{path}", body=body, again=again)

    def delete(self, path: str) -> None:
        """DELETE under v1.0. Raises RequestError."""
        self.request("DELETE", f"/v1.0{path}")

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let the requests of this thread's call take so long; each is repeated as often as fits into what is left."""
        self._call.left = seconds
        try:
            yield
        finally:
            del self._call.left

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        again: Callable[[RequestError], bool] = never,
    ) -> Json:
        """One request, repeated after 408, 424, 429, 5xx (but 501), POST too, and for errors that `again` names.

        A broken connection is repeated for reading methods only. Raises RequestError.
        """
        headers = {"authorization": f"Bearer {self.token}"}
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = json.dumps(body).encode()
        parameters = urlencode({f"${name}": value for name, value in (query or {}).items()})
        address = f"{self.base}{path}" + (f"?{parameters}" if parameters else "")
        retries = most_retries(getattr(self._call, "left", DEFAULT_PATIENCE))
        for attempt in range(retries + 1):
            wait = min(FIRST_WAIT * 2**attempt, LONGEST_WAIT)
            try:
                answer = self._send(method, address, headers, content)
            except (OSError, http.client.HTTPException) as problem:
                if method not in REPEATED_AFTER_BREAKS:
                    reason = "HTTP response was nil; connection may have been reset"
                    raise NoAnswer(method, address, reason) from problem
                if attempt == retries or isinstance(problem, FINAL):
                    raise NoAnswer(method, address, str(problem)) from problem
                self._wait(wait)
                continue
            if answer.status < HTTPStatus.BAD_REQUEST:
                break
            error = _error(answer)
            if attempt == retries or not (_is_transient(answer.status) or again(error)):
                raise error
            if _is_transient(answer.status):
                self._wait(_retry_after(answer, wait))
            else:
                self.pause(wait)
        document: Json = answer.json() if answer.content else {}
        return document

    def _wait(self, seconds: float) -> None:
        """Sleep, and count it to the call."""
        self._call.left = getattr(self._call, "left", DEFAULT_PATIENCE) - seconds
        self.sleep(seconds)

    def pause(self, seconds: float) -> None:
        """The wait for Graph to catch up with a change: skipped unless asked for."""
        if self.polls_wait:
            self.sleep(seconds)


def claims(token: str) -> Json:
    """The claims of a three-part JWT, unverified. Raises ProviderError if it is none or does not name the caller."""
    parts = token.split(".")
    if len(parts) != 3:
        raise ProviderError("building client: unable to parse access token: expected a JWT of three parts")
    document: Json = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    if not document.get("oid"):
        raise ProviderError("building client: unable to determine the object ID of the caller: no `oid` claim")
    return document


TRANSIENT = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.FAILED_DEPENDENCY, HTTPStatus.TOO_MANY_REQUESTS})


def _is_transient(status: int) -> bool:
    return status in TRANSIENT or (status >= 500 and status != HTTPStatus.NOT_IMPLEMENTED)


def _retry_after(answer: Reply, wait: float) -> float:
    return float(answer.retry_after) if answer.retry_after.isdigit() else wait


def _error(answer: Reply) -> RequestError:
    try:
        error = answer.json()["error"]
        return RequestError(answer.status, str(error["code"]), str(error["message"]))
    except (ValueError, KeyError, TypeError):
        return RequestError(answer.status, answer.reason, answer.text)
