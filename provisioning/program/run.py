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
    """The tags and owners that the stack's settings and caller ask for; there may be others beside them.

    left: the named owners who have left the tenant, and are left out.
    """

    tags: tuple[str, ...] = ()
    owners: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()


@dataclass(frozen=True)
class TakenOver:
    """A consent for the tenant that an administrator gave, and that the stack declares from now on.

    id: the provider's. new: whether it is yet to be imported.
    """

    id: str
    new: bool


@dataclass(frozen=True, kw_only=True)
class ApplicationPlan:
    """What a run declares of the application and its service principal beside the settings.

    audience: in this run; not yet the one of the settings where NocoBase still needs another. other_platforms: the
    redirect URIs of each other platform that loses one to Web, by azuread's name of it. other_token_version: whether
    the application's own access tokens stay of another version. own: which tags and owners any run of the stack puts
    back. consent: what an administrator gave before.
    """

    audience: rules.Audience
    redirect_uris: Sequence[str]
    other_platforms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    other_token_version: bool = False
    tags: Tags
    owners: Owners
    principal_owners: Owners
    own: Own = Own()
    consent: TakenOver | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run declares: in Entra ID the application with its client secrets, then what each NocoBase is given.

    removes: whether a client secret is removed at the end.
    """

    settings: Settings
    caller: Caller
    application: ApplicationPlan
    secrets: SecretPlan
    installations: Sequence[Installation] = ()
    removes: bool = False
