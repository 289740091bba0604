"""Checks, before the first change, whether the credentials can be pushed into these NocoBase installations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from provisioning.entra.ownership import whose_application
from provisioning.errors import NocoBaseError
from provisioning.nocobase import push
from provisioning.nocobase.installation import remedies_for
from provisioning.nocobase.retry import Patience

if TYPE_CHECKING:
    from provisioning.nocobase.installation import Installation
    from provisioning.nocobase.login import NocoBaseLogin


def check_installations(
    installations: Sequence[Installation],
    logins: Mapping[str, NocoBaseLogin],
    own_client_id: str | None,
    served: bool,
    patience_seconds: float,
) -> list[str]:
    """Check each of `installations`, which had no push yet; return a sentence for each that cannot be served.

    own_client_id: of this stack's application, if it exists already. served: whether the stack serves others already.
    With several or served ones this does not wait for any: the push waits for each on its own.
    Raises NocoBaseError if none could be served.
    """
    if len(installations) == 1 and not served:
        (only,) = installations
        check_nocobase(only, logins[only.name], own_client_id, Patience(patience_seconds))
        return []
    problems: list[NocoBaseError] = []
    for installation in installations:
        try:
            check_nocobase(installation, logins[installation.name], own_client_id)
        except NocoBaseError as error:
            problems.append(error)
    if problems and len(problems) == len(installations) and not served:
        raise problems[0]
    return [str(problem) for problem in problems]


def check_nocobase(
    installation: Installation, login: NocoBaseLogin, own_client_id: str | None, patience: Patience | None = None
) -> None:
    """Raise NocoBaseError if NocoBase cannot be reached, rejects the login, or holds foreign credentials.

    Also if its layout is unknown. patience: how long to wait for a NocoBase that is not ready. One request; one more if
    the secret is hidden.
    """
    # 0.1 s of imports (httpx) that only a first deployment needs.
    from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415

    with (
        NocoBaseClient(installation.url, installation.app, login, patience) as nocobase,
        remedies_for(installation.logins),
        push.redacted_errors(lambda: (*login.secrets, nocobase.token)),
    ):
        found = push.read(nocobase, installation.mapping, certain=True)
        own = [own_client_id, installation.take_over]
        push.reject_foreign(nocobase.url, found, own, whose_application)
