"""What exists in Entra ID although the state does not hold it, or holds it by another name: taken over, not made again.

Entra ID may carry out a request whose answer is lost. The provider then repeats it or fails, the state does not learn
of it, and Entra ID rejects the second of each: a federated credential (409), a permission (400) or an owner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_azuread as azuread

from deployer.federation import Trust
from deployer.settings import Identity
from provisioning.entra.scopes import MICROSOFT_GRAPH
from provisioning.program.last_state import Deployed, Resources
from provisioning.program.provider import VERSION

TRUST_TYPE = "azuread:index/applicationFederatedIdentityCredential:ApplicationFederatedIdentityCredential"
FLEXIBLE_TYPE = (
    "azuread:index/applicationFlexibleFederatedIdentityCredential:ApplicationFlexibleFederatedIdentityCredential"
)
ROLE_TYPE = "azuread:index/appRoleAssignment:AppRoleAssignment"
OWNER_TYPE = "azuread:index/applicationOwner:ApplicationOwner"


@dataclass(frozen=True)
class LeftBehind:
    """What to take over.

    ids: resource name → the id by which the provider imports it. renamed: resource name of a federated credential → the
    name that it has in the state.
    """

    ids: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)


def resource_name(name: str, part: str) -> str:
    """The name of a resource of the identity `name`: of a trust, a permission, or a mail application that it owns."""
    return f"{name}-{part}"


def type_of(trust: Trust) -> str:
    """The resource type of a federated credential."""
    return FLEXIBLE_TYPE if trust.expression else TRUST_TYPE


def renamed_trusts(name: str, trusts: Sequence[Trust], recorded: Resources) -> dict[str, str]:
    """Trusts of the state that are declared with another name; Entra ID takes an issuer and subject once only. Pure.

    name: of the identity; the other one may trust the same tokens.
    """
    declared = {resource_name(name, trust.name) for trust in trusts}
    there = {
        (str(outputs["issuer"]), str(outputs["subject"])): known
        for (kind, known), outputs in recorded.items()
        if kind == TRUST_TYPE and known not in declared and known.startswith(resource_name(name, ""))
    }
    return {
        resource_name(name, trust.name): there[trust.issuer, trust.subject]
        for trust in trusts
        if (TRUST_TYPE, resource_name(name, trust.name)) not in recorded and (trust.issuer, trust.subject) in there
    }


def find(identity: Identity, last: Deployed, recorded: Resources) -> LeftBehind:
    """What to take over. Entra ID is asked for each kind of which the state lacks something. last: recorded, parsed.

    Raises DirectoryUnreadable.
    """
    if last.application is None:
        return LeftBehind()
    # 0.4 s of imports (msgraph) that only a change needs.
    from provisioning.entra import directory  # noqa: PLC0415

    name = identity.name
    renamed = renamed_trusts(name, identity.trusts, recorded)

    def missing(parts: Iterable[tuple[str, str]]) -> list[str]:
        """Those of (kind, part) that the state lacks; their parts."""
        named = [(kind, part, resource_name(name, part)) for kind, part in parts]
        return [part for kind, part, known in named if (kind, known) not in recorded and known not in renamed]

    application = last.application.object_id
    ids: dict[str, str] = {}
    if trusts := missing((type_of(trust), trust.name) for trust in identity.trusts):
        made = directory.federated_credentials(application)
        ids |= {one: f"{application}/federatedIdentityCredential/{made[one]}" for one in trusts if one in made}
    if last.principal is not None:
        principal = last.principal.object_id
        roles = missing((ROLE_TYPE, role) for role in identity.permissions)
        ids |= _roles(roles, principal, directory.app_roles)
        mail = missing((OWNER_TYPE, one) for one in identity.mail_applications)
        ids |= {one: f"/applications/{one}/owners/{principal}" for one in mail if principal in directory.owners(one)}
    return LeftBehind({resource_name(name, part): found for part, found in ids.items()}, renamed)


def _roles(
    missing: Sequence[str], principal: str, assigned: Callable[[str], Mapping[tuple[str, str], str]]
) -> dict[str, str]:
    """The ids of the permissions that are assigned already, by their names."""
    if not missing:
        return {}
    graph = azuread.get_service_principal(client_id=MICROSOFT_GRAPH, opts=pulumi.InvokeOptions(version=VERSION))
    found = assigned(principal)
    keys = {role: (graph.object_id, graph.app_role_ids[role]) for role in missing}
    return {
        role: f"/servicePrincipals/{graph.object_id}/appRoleAssignedTo/{found[key]}"
        for role, key in keys.items()
        if key in found
    }
