"""What is asked of every installation before a change: a NocoBase 3 here, a NocoBase 2 by its own room."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from provisioning.entra.audiences import COMMON
from provisioning.entra.other_applications import whose_application
from provisioning.errors import NocoBaseError, NotVerified
from provisioning.nocobase import preflight, secret_in_use
from provisioning.nocobase.installation import remedies_for
from provisioning.nocobase.push import reject_foreign
from provisioning.nocobase.retry import Patience
from provisioning.nocobase.sign_in_link import redirect_uri_mismatch

if TYPE_CHECKING:
    from provisioning.nocobase.installation import Configuration, Installation
    from provisioning.nocobase.login import NocoBaseLogin


def check(
    installation: Installation, login: NocoBaseLogin, own: Collection[str], patience: Patience | None = None
) -> None:
    """Raise NocoBaseError if credentials cannot be pushed into `installation`; see `preflight.check_nocobase`."""
    if installation.configuration is None:
        preflight.check_nocobase(installation, login, own, patience)
    else:
        _check(installation, installation.configuration, login, own, patience)


def _check(
    installation: Installation,
    configuration: Configuration,
    login: NocoBaseLogin,
    own: Collection[str],
    patience: Patience | None,
) -> None:
    # ruamel.yaml and httpx, which only a first deployment needs.
    from provisioning.nocobase3 import push  # noqa: PLC0415
    from provisioning.nocobase3.places import place_of  # noqa: PLC0415
    from provisioning.nocobase3.server import MailServer  # noqa: PLC0415

    place, provider = place_of(configuration.place), configuration.provider
    with remedies_for(installation.logins), MailServer(installation.url, login, patience) as server:
        before = push.read(place, provider)
        known = [*own, installation.take_over]
        push.reject_other_kind(place, provider, before.found, known)
        push.reject_disabled(place, provider, before.found)
        reject_foreign(installation.url, before, known, whose_application)
        link = server.sign_in(provider)
        reason = redirect_uri_mismatch(link, installation.redirect_uris) if link and link.redirect_uri else None
        if reason is not None:
            raise NotVerified(f"NocoBase at {installation.url} has another address than the settings", *reason)


def may_hold_unknown_secret(
    installations: Sequence[Installation],
    logins: Mapping[str, NocoBaseLogin],
    client_id: str | None,
    written_at: Mapping[str, str],
    known: Collection[str],
    transformed: Collection[str] = (),
) -> list[str]:
    """A clause for each of `installations` that may hold a secret of the application `client_id` besides `known`.

    written_at: the row's time of change after the last push, by the push's resource name. transformed: names of the
    pushes that saw a transformed secret. Both are of a NocoBase 2; see `secret_in_use.why_maybe_unknown`.
    """
    clauses = []
    for one in installations:
        login, name = logins[one.name], one.resource_name
        if one.configuration is None:
            last_push = written_at.get(name, "")
            why = secret_in_use.why_maybe_unknown(
                one, login, client_id=client_id, written_at=last_push, known=known, transformed=name in transformed
            )
        else:
            why = _why_maybe_unknown(one, one.configuration, login, client_id, known)
        if why is not None:
            clauses.append(f"NocoBase at {one.url} {why}")
    return clauses


def _why_maybe_unknown(
    installation: Installation,
    configuration: Configuration,
    login: NocoBaseLogin,
    client_id: str | None,
    known: Collection[str],
) -> str | None:
    """Why it may use a secret of the application besides `known`; None if it surely does not."""
    # As above; only a run with orphaned secrets needs them.
    from provisioning.nocobase3 import push  # noqa: PLC0415
    from provisioning.nocobase3.places import place_of  # noqa: PLC0415
    from provisioning.nocobase3.server import MailServer  # noqa: PLC0415

    try:
        found = push.read(place_of(configuration.place), configuration.provider).found
        with MailServer(installation.url, login) as server:
            link = server.sign_in(configuration.provider)
    except NocoBaseError:
        return "cannot be asked which secret it uses"
    used = {found.client_id, link.client_id if link else None}
    if client_id is None or client_id not in used:
        return None
    if found.client_secret not in known:
        return "has a secret in its configuration that this stack's state does not know"
    why = push.why_not_in_use(link, found, configuration.provider)
    return f"may use a secret of an earlier configuration: {why}" if why else None


def sign_in_pages(
    installation: Installation, configuration: Configuration, login: NocoBaseLogin, client_id: str | None
) -> frozenset[str] | None:
    """The sign-in pages that it uses for the application `client_id`, and will use once it is restarted.

    None if it cannot be asked.
    """
    # As above; only a change of the audience needs them.
    from provisioning.nocobase3 import push  # noqa: PLC0415
    from provisioning.nocobase3.places import place_of  # noqa: PLC0415
    from provisioning.nocobase3.server import MailServer  # noqa: PLC0415

    try:
        found = push.read(place_of(configuration.place), configuration.provider).found
        with MailServer(installation.url, login) as server:
            link = server.sign_in(configuration.provider)
    except NocoBaseError:
        return None
    named = [(found.client_id, found.tenant or COMMON)]
    named += [(link.client_id, link.tenant)] if link and link.client_id and link.tenant else []
    return frozenset(page for id_, page in named if id_ and id_ == client_id)
