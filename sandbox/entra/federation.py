"""Foreign tokens: simulated issuers of GitHub, GitLab and Azure DevOps, and the check of what they sign.

Each issuer has a key of its own, new with every process, and an address under /_sandbox/oidc/. Entra ID asks an issuer
for its keys over HTTPS; here both are one process, so the keys are taken from memory. Knows nothing of HTTP.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from sandbox.entra import claims_expression, token_errors

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

Json = dict[str, Any]
System = Literal["github", "gitlab", "azure-devops"]
SYSTEMS: tuple[str, ...] = get_args(System)
AUDIENCE = "api://AzureADTokenExchange"
"""What the token must be meant for, unless a federated credential says otherwise."""
LIFETIME = 300
"""Seconds, as GitHub's tokens live."""
ALGORITHM = "RS256"


class TokenOrder(BaseModel):
    """What POST /_sandbox/oidc-token takes. lifetime: seconds from now; less than 0 for a token that has expired.

    claims: more of them, such as GitHub's `repository_id`.
    """

    model_config = ConfigDict(extra="forbid")

    system: System
    subject: str = Field(min_length=1)
    audience: str = AUDIENCE
    lifetime: int = LIFETIME
    claims: dict[str, str] = {}


@cache
def _key(system: str) -> RSAPrivateKey:
    # Some 50 ms of import, which only a pipeline's sign-in needs.
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def issuer(authority: str, system: str) -> str:
    """The address of a system's issuer. authority: the sandbox's own address."""
    return f"{authority}/_sandbox/oidc/{system}"


def openid_configuration(authority: str, system: str) -> Json:
    """What an issuer says of itself."""
    here = issuer(authority, system)
    return {
        "issuer": here,
        "jwks_uri": f"{here}/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
    }


def key_set(system: str) -> Json:
    """An issuer's public key as a JSON Web Key Set."""
    from jwt.algorithms import RSAAlgorithm  # noqa: PLC0415 - as above

    public = json.loads(RSAAlgorithm.to_jwk(_key(system).public_key()))
    return {"keys": [{**public, "kid": system, "use": "sig", "alg": ALGORITHM}]}


def mint(authority: str, order: TokenOrder) -> str:
    """A token as the system's issuer gives it to a job of a pipeline."""
    import jwt  # noqa: PLC0415 - as above

    moment = int(time.time())
    claims = {
        **order.claims,
        "iss": issuer(authority, order.system),
        "sub": order.subject,
        "aud": order.audience,
        "iat": moment - 1 + min(order.lifetime, 0),
        "nbf": moment - 1 + min(order.lifetime, 0),
        "exp": moment + order.lifetime,
    }
    return jwt.encode(claims, _key(order.system), algorithm=ALGORITHM, headers={"kid": order.system})


def check_assertion(assertion: str, credentials: Sequence[Json], client_id: str, authority: str) -> None:
    """Accept a token that one of the application's federated credentials names. Raises TokenError."""
    import jwt  # noqa: PLC0415 - as above

    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        raise token_errors.malformed_assertion() from None
    if not credentials:
        raise token_errors.no_federated_credential(client_id)
    _match(claims, credentials)
    known = {issuer(authority, system): system for system in SYSTEMS}
    if claims["iss"] not in known:
        raise token_errors.unreachable_issuer()
    try:
        jwt.decode(
            assertion,
            _key(known[claims["iss"]]).public_key(),
            algorithms=[ALGORITHM],
            audience=claims["aud"],
            options={"require": ["exp"]},
        )
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
        raise token_errors.assertion_out_of_time(datetime.now(UTC)) from None
    except jwt.InvalidTokenError:
        raise token_errors.unsigned_assertion() from None


def _match(claims: Mapping[str, Any], credentials: Sequence[Json]) -> None:
    """Find a credential with the token's issuer, audience and subject; all three count by letter and case.

    A flexible one has an expression in the subject's place.
    """
    same_issuer = [item for item in credentials if item["issuer"] == claims.get("iss")]
    if not same_issuer:
        raise token_errors.no_matching_record(700211, "issuer", claims.get("iss"))
    same_audience = [item for item in same_issuer if claims.get("aud") in item["audiences"]]
    if not same_audience:
        raise token_errors.no_matching_record(700212, "audience", claims.get("aud"))
    subjects = [item["subject"] for item in same_audience if item.get("subject")]
    expressions = [item["claimsMatchingExpression"]["value"] for item in same_audience if not item.get("subject")]
    presented = str(claims.get("sub"))
    if presented in subjects or any(claims_expression.lets_in(one, claims) for one in expressions):
        return
    if presented.lower() in [subject.lower() for subject in subjects]:
        raise token_errors.other_case(presented)
    raise token_errors.no_matching_record(700213, "subject", presented)
