"""Checks, before the first change, whether the credentials can be pushed into these NocoBase installations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from provisioning.entra.other_applications import whose_application
from provisioning.errors import NocoBaseError, NotVerified
from provisioning.nocobase import push
from provisioning.nocobase.installation import remedies_for
from provisioning.nocobase.retry import Patience
from provisioning.nocobase.sign_in_link import Accounts, redirect_uri_mismatch, reject_audience

if TYPE_CHECKING:
    from provisioning.nocobase.installation import Installation
    from provisioning.nocobase.login import NocoBaseLogin


class Check(Protocol):
    """Raises NocoBaseError if credentials cannot be pushed into an installation; see `check_nocobase`."""

    def __call__(
        self, installation: Installation, login: NocoBaseLogin, own: Collection[str], patience: Patience | None
    ) -> None:
        """Ask it."""


def check_installations(
    installations: Sequence[Installation],
    logins: Mapping[str, NocoBaseLogin],
    own: Collection[str],
    served: bool,
    patience_seconds: float,
    check: Check | None = None,
) -> list[str]:
    """Check each of `installations`, where nothing was pushed yet; return a sentence for each that cannot be served.

    check: asks one; by default `check_nocobase`.
    own: client ids of this stack's application, if it exists already. served: whether the stack serves others, too.
    With several or served ones this does not wait for any: the push waits for each on its own.
    Raises NocoBaseError if none could be served.
    """
    check = check or check_nocobase
    if len(installations) == 1 and not served:
        (only,) = installations
        check(only, logins[only.name], own, Patience(patience_seconds))
        return []
    problems: list[NocoBaseError] = []
    for installation in installations:
        try:
            check(installation, logins[installation.name], own, None)
        except NocoBaseError as error:
            problems.append(error)
    if problems and len(problems) == len(installations) and not served:
        raise problems[0]
    return [str(problem) for problem in problems]


def check_audience(
    installations: Sequence[Installation], logins: Mapping[str, NocoBaseLogin], accounts: Accounts
) -> None:
    """Raise NotVerified if the sign-in link of one of `installations` would let in nobody of `accounts`.

    For a change of the audience, before it is made. A NocoBase that gives no answer is left to its push.
    """
    from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415 - as below

    for installation in installations:
        login = logins[installation.name]
        link = None
        with NocoBaseClient(installation.url, installation.app, login) as nocobase, suppress(NocoBaseError):
            link = push.sign_in(nocobase, installation.mapping)
        reject_audience(installation.url, link, accounts)


def check_nocobase(
    installation: Installation, login: NocoBaseLogin, own: Collection[str], patience: Patience | None = None
) -> None:
    """Raise NocoBaseError if NocoBase cannot be reached, rejects the login, or holds foreign credentials.

    Also if its layout is unknown, or its users would be sent back to another redirect URI than the declared ones.
    patience: how long to wait for a NocoBase that is not ready. One request; one more each if the secret is hidden, and
    if NocoBase holds credentials, without which it has no sign-in link.
    """
    # 0.1 s of imports (httpx) that only a first deployment needs.
    from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415

    with (
        NocoBaseClient(installation.url, installation.app, login, patience) as nocobase,
        remedies_for(installation.logins),
    ):
        found = push.read(nocobase, installation.mapping, certain=True)
        push.reject_foreign(nocobase.url, found, [*own, installation.take_over], whose_application)
        link = push.sign_in(nocobase, installation.mapping) if found.client_id else None
        reason = redirect_uri_mismatch(link, installation.redirect_uris) if link and link.redirect_uri else None
        if reason is not None:
            raise NotVerified(f"NocoBase at {nocobase.url} has another address than the settings", *reason)
