"""What one run of the program declares, as plain data: `prepare` plans it, `application` and the pushes declare it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from provisioning.entra import rules
from provisioning.entra.client_secret_plan import SecretPlan
from provisioning.entra.ownership import Owners
from provisioning.entra.tags import Tags
from provisioning.nocobase.installation import Installation
from provisioning.program.caller import Caller
from provisioning.program.settings import Settings


@dataclass(frozen=True)
class Own:
    """The tags and owners that the stack's settings and caller ask for; there may be others beside them."""

    tags: tuple[str, ...] = ()
    owners: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Run:
    """What one run declares: the stack's settings, and the client secrets and owners that exist after it.

    redirect_uris: of the application. installations: the NocoBases to serve. consent: what an administrator
    gave before. other_token_version: whether the application's own access tokens stay of another version.
    removes: whether a client secret is removed at the end. audience: of the application in this run, where that is not
    yet the one of the settings. own: which tags and owners any run of the stack puts back. other_platforms: the
    redirect URIs of each other platform that loses one to Web, by azuread's name of it.
    """

    settings: Settings
    secrets: SecretPlan
    redirect_uris: Sequence[str]
    tags: Tags
    installations: Sequence[Installation]
    caller: Caller
    owners: Owners
    principal_owners: Owners
    consent: TakenOver | None = None
    other_token_version: bool = False
    removes: bool = False
    audience: rules.Audience | None = None
    own: Own = Own()
    other_platforms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class TakenOver:
    """A consent for the tenant that an administrator gave, and that the stack declares from now on.

    id: the provider's. new: whether it is yet to be imported.
    """

    id: str
    new: bool
