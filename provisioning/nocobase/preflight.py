"""Asks, before the first change, whether credentials can be pushed into this NocoBase at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioning.nocobase import mail_settings

if TYPE_CHECKING:
    from provisioning.nocobase.login import NocoBaseLogin
    from provisioning.settings import Settings


def check_nocobase(settings: Settings, login: NocoBaseLogin, own_client_id: str | None) -> None:
    """Raise NocoBaseError if NocoBase is not there, not ready, refuses the login, or holds foreign credentials.

    One request. own_client_id: of this stack's application, if it exists already.
    """
    # Needed at the first deployment only; every `pulumi up` would pay for the import of httpx.
    from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415

    with NocoBaseClient(settings.nocobase_url, settings.nocobase_app, login) as nocobase:
        row = mail_settings.read(nocobase)
        mail_settings.refuse_foreign(nocobase.url, row, [own_client_id, settings.nocobase_take_over])
