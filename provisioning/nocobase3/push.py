"""What a push into a NocoBase 3 consists of: its configuration is read and written, it is restarted, its link compared.

NocoBase reads its configuration when it starts, and shows no secret. So every write puts the scopes, which it asks for
in the order of its configuration, into an order that neither its link nor the configuration had: once its link has that
order, it has been started with what was written, and uses the new secret (`config_file.fresh_order`).
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from provisioning import errors, waiting
from provisioning.foreign import guid, quoted
from provisioning.nocobase.sign_in_link import SignIn
from provisioning.nocobase3 import commands, config_file
from provisioning.nocobase3.config_file import MICROSOFT, Entry, Found
from provisioning.nocobase3.places import Place
from provisioning.nocobase3.server import MailServer
from provisioning.nocobase3.yaml_text import NotEditable

RESTART_SECONDS = 600.0
"""How long the command that restarts NocoBase may take."""

LOOK_SECONDS = 1.0
"""How often a restarted NocoBase is asked for its link."""


TENANT = re.compile(r"[A-Za-z0-9.-]{1,253}")
"""An id, a domain or a word; what is none may be a secret in the wrong key, and is not repeated."""


@dataclass(frozen=True)
class Reading:
    """A configuration at one moment. version: as its place names it. found: what it has for the mail provider."""

    text: str = field(repr=False)
    version: str
    found: Found

    @property
    def client_id(self) -> str:
        """The client ID; empty if there is none."""
        return self.found.client_id


def read(place: Place, provider: str) -> Reading:
    """The configuration. Raises ConfigurationUnusable, also for one that this program could not edit."""
    content = place.read()
    try:
        text = config_file.decoded(content.data)
        return Reading(text, content.version, config_file.read(text, provider))
    except NotEditable as error:
        raise not_editable(place, error) from None


def reject_other_kind(place: Place, provider: str, found: Found, own: Sequence[str | None]) -> None:
    """Raise ConfigurationUnusable if the entry is another provider's, or the application's has another name."""
    if found.exists and found.type != MICROSOFT:
        what = f"In the configuration {place}, the mail provider {provider} is of another type"
        why = f"type {quoted(found.type)} instead of {MICROSOFT}"
        raise errors.ConfigurationUnusable(
            what, why, "Take another name: pulumi config set nocobaseMailProvider <name>"
        )
    # Accounts that users have connected belong to the name: another one would cut them off.
    named = (
        None if found.client_id else next((name for name, id_ in found.elsewhere.items() if id_ in own and id_), None)
    )
    if named is not None:
        what = f"In the configuration {place}, this application is the mail provider {quoted(named)}, not {provider}"
        command = f": pulumi config set nocobaseMailProvider {named}" if config_file.NAME.fullmatch(named) else "."
        remedy = f"Take that name, to which connected accounts belong{command}"
        raise errors.ConfigurationUnusable(what, "nothing was written", remedy)


def reject_disabled(place: Place, provider: str, found: Found) -> None:
    """Raise NotVerified for a mail provider that is switched off: it has no link, however often NocoBase starts."""
    if not found.enabled:
        raise errors.NotVerified(
            f"In the configuration {place}, the mail provider {provider} is switched off",
            f"mail.providers.{provider}.enabled is false; nothing was written",
            "Set it to true, or have `pulumi destroy` take the mail provider back.",
        )


def write(place: Place, provider: str, before: Reading, entry: Entry) -> Reading:
    """Write `entry` if nobody has changed the configuration since `before`, and read it again.

    Raises ChangedMeanwhile, ConfigurationUnusable and NotVerified.
    """
    try:
        text = config_file.written(before.text, provider, entry)
    except NotEditable as error:
        raise not_editable(place, error) from None
    place.write(text.encode(), before.version)
    after = read(place, provider)
    if not after.found.holds(entry):
        raise errors.NotVerified(
            f"The configuration {place} did not keep the credentials",
            "it has other values after the write, or none",
            "Somebody else may have changed it at the same moment. Run the command again.",
        )
    return after


def may_hold(place: Place, provider: str, entry: Entry) -> bool:
    """Whether a write of `entry` that failed may have been carried out."""
    try:
        return read(place, provider).found.holds(entry)
    except (errors.NocoBaseError, errors.Interrupted):
        return True


def clear(place: Place, provider: str, before: Reading, made: str) -> None:
    """Remove the entry if this program made it (see `config_file.made_by`), else empty its client ID and secret.

    Raises ChangedMeanwhile and ConfigurationUnusable.
    """
    try:
        text = _without(before.text, provider, made)
    except NotEditable as error:
        raise not_editable(place, error) from None
    if text != before.text:
        place.write(text.encode(), before.version)


def _without(text: str, provider: str, made: str) -> str:
    if made:
        try:
            return config_file.removed(text, provider, made)
        except NotEditable:
            # Somebody has added to it since.
            pass
    return config_file.emptied(text, provider)


def not_editable(place: Place, error: NotEditable) -> errors.ConfigurationUnusable:
    """The error for a configuration that this program leaves as it is."""
    what = f"The configuration {place} cannot be edited safely, and was not changed"
    return errors.ConfigurationUnusable(what, str(error), "Correct it by hand, then run the command again.")


def why_not_in_use(link: SignIn | None, found: Found, provider: str) -> str | None:
    """Why NocoBase has surely not been started with what its configuration says by now; None if it has.

    link: its sign-in link; None if it does not offer the mail provider.
    """
    if link is None:
        return f"it does not offer the mail provider {provider}"
    if link.client_id != found.client_id:
        named = guid(link.redacted(link.client_id)) if link.client_id else "none"
        return f"its sign-in link names client ID {named}"
    if link.tenant != found.tenant:
        own = found.tenant if found.tenant and TENANT.fullmatch(found.tenant) else "the one of its configuration"
        return f"its sign-in link is for {quoted(link.redacted(link.tenant or 'no tenant'))} instead of {own}"
    if link.scopes != found.scopes:
        return "its sign-in link is that of an earlier configuration"
    return None


def restart(url: str, command: Sequence[str], seconds: float = RESTART_SECONDS) -> None:
    """Run the command that restarts NocoBase. Raises RestartFailed and Interrupted."""
    what = f"NocoBase at {url} was not restarted: {shlex.join(command)} failed"
    remedy = (
        "Its configuration has the new credentials, and the old ones stay until it uses the new. Correct "
        "nocobaseRestart, or restart it, then run `pulumi up` again."
    )
    try:
        ran = commands.run(command, seconds)
    except commands.CommandFailed as error:
        raise errors.RestartFailed(what, str(error), remedy) from None
    if ran.code:
        said = f": {quoted(ran.last_words)}" if ran.last_words else ""
        raise errors.RestartFailed(what, f"it ended with {ran.code}{said}", remedy)


def link_in_use(server: MailServer, provider: str, found: Found, seconds: float) -> tuple[SignIn | None, str | None]:
    """The link of a NocoBase that is being started, and why it is not the one of its configuration, if it never is.

    seconds: how long to wait for it. Raises NocoBaseError and Interrupted.
    """
    ends = time.monotonic() + seconds
    with waiting.waiting_aloud(f"NocoBase at {server.url} to start", seconds) as goes_on:
        while True:
            try:
                link = server.sign_in(provider)
            except (errors.Unauthorized, errors.Forbidden):
                raise
            except errors.NocoBaseError:
                # What it and a proxy in front of it answer while it starts is not known.
                if time.monotonic() >= ends:
                    raise
            else:
                why = why_not_in_use(link, found, provider)
                if why is None or time.monotonic() >= ends:
                    return link, why
            goes_on()
            waiting.pause(LOOK_SECONDS)


def restart_due(url: str, place: Place, why: str) -> str:
    """What a run says that has written a configuration which NocoBase has not read yet."""
    return (
        f"NocoBase at {url} has to be restarted ({why}). Its configuration {place} has the new credentials; until then "
        "it uses the old ones, which stay. Restart it, then run `pulumi up` again."
    )


def not_restarted(url: str, place: Place, provider: str, why: str) -> errors.NotVerified:
    """The error for a NocoBase that does not use its configuration although the command to restart it succeeded."""
    return errors.NotVerified(
        f"NocoBase at {url} does not use the configuration {place}, although it was restarted",
        why,
        f"Does it read that place, is mail.providers.{provider} enabled, and does nocobaseRestart wait until it has "
        "restarted? The old credentials stay. Then run `pulumi up` again.",
    )
