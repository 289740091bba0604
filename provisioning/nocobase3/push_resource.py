"""The push into a NocoBase 3 as a Pulumi resource: of the same type as that into a NocoBase 2, by another provider.

So the plan of the client secrets, `status` and a move from 2 to 3 find the same properties. `slot`, `since` and the
credentials are recorded as verified only once NocoBase was seen to use them: as long as a restart is due, those that
were verified before stay recorded, with `restart_due`, and `require_all` ends a run that would remove a secret.

ruamel.yaml and httpx are imported where they are needed: the program imports this module only to declare the resource.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, UpdateResult

from provisioning.entra.audiences import authority_for
from provisioning.entra.client_secret_plan import SecretPlan
from provisioning.entra.other_applications import whose_application
from provisioning.entra.rules import Audience
from provisioning.errors import Interrupted, NocoBaseError, NotVerified, ProvisioningError, SettingsError
from provisioning.foreign import GUID, LONGEST
from provisioning.nocobase.installation import remedies_for
from provisioning.nocobase.login import SECRET_LENGTH
from provisioning.nocobase.mail_settings import TYPE_NAME, DeployedApplication, MailSettings, NocoBaseProvider
from provisioning.nocobase.provider_process import known_secrets, redact_from_now_on, say, without_secrets
from provisioning.nocobase.push import reject_foreign
from provisioning.nocobase.push_record import (
    Properties,
    credentials_of,
    own_client_id,
    place_of,
    proved,
    redacted,
    with_client_id,
)
from provisioning.nocobase.push_resource import MailSettingsProvider, Seen, say_what_stays, with_way_out
from provisioning.nocobase.sign_in_link import sign_in_mismatch

if TYPE_CHECKING:
    from provisioning.nocobase.installation import Configuration, Installation
    from provisioning.nocobase3.config_file import Entry
    from provisioning.nocobase3.places import Place
    from provisioning.nocobase3.push import Reading
    from provisioning.nocobase3.server import MailServer

WHERE = ("nocobase_url", "config_file", "mail_provider")
"""The declared properties that say where the credentials go."""

DECLARED = (*WHERE, "client_id", "client_secret", "redirect_uris", "slot", "since", "scopes", "audience", "tenant_id")
"""The properties that the program declares; a change of one of them is pushed."""

HOW = ("restart", "logins", "several", "protected")
"""The declared properties that refresh and destroy need; recorded again when they change."""

UNWRITTEN = "unwritten"
"""The property, only where it is true, that no push has written to the place yet."""

VERIFIED = ("client_id", "client_secret", "slot", "since", "redirect_uris", "proved_client_id", "proved_redirect_uri")
"""What stays recorded of the last verified push as long as a restart is due."""


@dataclass
class _Target:
    """One NocoBase 3 during one call of the engine's.

    made: see `config_file.made_by`. holds: whether its configuration has, or may have, what was declared.
    """

    url: str
    place: Place
    provider: str
    server: MailServer
    made: str = ""
    holds: bool = False


class ConfigurationProvider(MailSettingsProvider):
    """Creates, compares, reads and clears the credentials in the configuration of a NocoBase 3."""

    def _is_in_sync(self, olds: Properties, news: Properties) -> bool:
        """Whether the configuration and NocoBase's link are as declared, and nothing of that has changed."""
        from provisioning.nocobase3 import push  # noqa: PLC0415 - see above

        changed = any(olds.get(key) != news.get(key) for key in (*DECLARED, *HOW))
        changed = changed or bool(olds.get("problem") or olds.get("restart_due"))
        with self._target(news, patient=not news.get("several")) as target:
            seen = self._seen_just_now(news, _where(news))
            found = seen.reading if seen else _read(target).found
            link = seen.link if seen else target.server.sign_in(target.provider)
            return (
                not changed
                and found.holds(_entry(olds, found.scopes))
                and push.why_not_in_use(link, found, target.provider) is None
                and sign_in_mismatch(link, news["client_id"], news["redirect_uris"]) is None
            )

    def create(self, props: Properties) -> CreateResult:
        """Push into a NocoBase 3 for the first time; foreign credentials there are not overwritten.

        What fails once the configuration holds the credentials is recorded, so that `destroy` clears it.
        """
        from provisioning.nocobase3 import push  # noqa: PLC0415 - see above

        id_ = f"{props['nocobase_url']}#{props['config_file']}#{props['mail_provider']}"
        self._seen.pop(place_of(props), None)
        target: _Target | None = None
        try:
            with self._target(props) as target:
                before = _before(target, {}, props)
                own = [props["client_id"], props.get("take_over")]
                push.reject_other_kind(target.place, target.provider, before.found, own)
                push.reject_disabled(target.place, target.provider, before.found)
                reject_foreign(target.url, before, own, whose_application)
                self._wait_until_accepted(props, new=True)
                return CreateResult(id_, self._push(target, {}, props, before))
        except ProvisioningError as error:
            if not props.get("several") and not (target and target.holds):
                raise
            failed = {**_unverified({}, props), "problem": without_secrets(str(error))}
            if target and target.holds:
                return CreateResult(id_, {**failed, "made": target.made})
            return CreateResult(id_, {**failed, UNWRITTEN: True})

    def update(self, _id: str, _olds: Properties, _news: Properties) -> UpdateResult:
        """Push what the declaration changed, or repair what somebody changed in the configuration.

        What fails once the configuration holds the credentials is recorded, so that `destroy` clears it. Until then
        the last place and declaration stay recorded: nothing of the new ones is true yet.
        """
        self._seen.pop(place_of(_news), None)
        target: _Target | None = None
        try:
            self._wait(_olds, _news)
            with self._target(_news) as target:
                return UpdateResult(self._update_in(target, _olds, _news))
        except ProvisioningError as error:
            problem = without_secrets(str(error))
            if target and target.holds:
                return UpdateResult({**_unverified(_olds, _news), "made": target.made, "problem": problem})
            if not _news.get("several"):
                raise
            return UpdateResult({**_olds, "problem": problem})

    def _wait(self, olds: Properties, news: Properties) -> None:
        same = credentials_of(olds) == credentials_of(news)
        self._wait_until_accepted(news, new=not same or not olds.get("slot"))

    def _update_in(self, target: _Target, olds: Properties, news: Properties) -> Properties:
        from provisioning.nocobase3 import push  # noqa: PLC0415 - see above

        before = _before(target, olds, news)
        own = [own_client_id(olds), news["client_id"], news.get("take_over")]
        push.reject_other_kind(target.place, target.provider, before.found, own)
        push.reject_disabled(target.place, target.provider, before.found)
        if not olds.get("slot") or not _same_place(olds, news):
            reject_foreign(target.url, before, own, whose_application)
        elif self._was_taken_over(before, news):
            reject_foreign(target.url, before, [], whose_application)
        return self._push(target, olds, news, before)

    def _push(self, target: _Target, olds: Properties, news: Properties, before: Reading) -> Properties:
        """Write what differs, restart if NocoBase has not read it, and verify; return the outputs."""
        from provisioning.nocobase3 import config_file, push  # noqa: PLC0415 - see above

        link = target.server.sign_in(target.provider)
        reading = before
        if not before.found.holds(_entry(news)):
            shown = link.scopes if link else ()
            order = config_file.fresh_order(news["scopes"], before.found.scopes, shown)
            target.made = target.made or config_file.made_by(before.text, target.provider)
            target.holds = True
            try:
                reading = push.write(target.place, target.provider, before, _entry(news, order))
            except (NocoBaseError, Interrupted):
                target.holds = push.may_hold(target.place, target.provider, _entry(news))
                raise
        if olds.get("config_file") and _configuration(olds) != _configuration(news):
            say_what_stays(olds)
        why = push.why_not_in_use(link, reading.found, target.provider)
        if why is not None and news.get("restart"):
            say(f"Restarting NocoBase at {target.url}: {shlex.join(news['restart'])}")
            push.restart(target.url, news["restart"])
            link, why = push.link_in_use(target.server, target.provider, reading.found, self._patience_seconds)
            if why is not None:
                raise push.not_restarted(target.url, target.place, target.provider, why)
        if why is not None:
            due = without_secrets(push.restart_due(target.url, target.place, why))
            return {**_unverified(olds, news), "made": target.made, "restart_due": due}
        reason = sign_in_mismatch(link, news["client_id"], news["redirect_uris"])
        if reason is not None:
            raise NotVerified(f"NocoBase at {target.url} does not use what was written", *reason)
        return redacted({**news, "made": target.made, **proved(link, news)}, news)

    def read(self, id_: str, props: Properties) -> ReadResult:
        """What the configuration holds now; an empty id, which means a deleted resource, if the entry is gone.

        A configuration or a NocoBase that cannot be read stops no refresh, as in `MailSettingsProvider.read`. That is
        also for a NocoBase 2 which was upgraded in place, and whose push as a 3 has failed so far.
        """
        if not props.get("config_file"):
            return super().read(id_, props)
        try:
            with self._target(props, patient=False) as target:
                found = _read(target).found
                if not found.exists:
                    return ReadResult("", {})
                link = target.server.sign_in(target.provider)
                self._seen[place_of(props)] = Seen(found, link, _where(props))
        except (NocoBaseError, SettingsError) as error:
            self._go_on_without(props, error)
            return ReadResult(id_, props, _inputs(props))
        held = {**props, **proved(link, props)}
        if not (props.get("restart_due") or props.get("problem")):
            # Else the configuration may be ahead of what is recorded, which is what NocoBase was verified to use.
            held = with_client_id(found.client_id, held)
            held["client_secret"] = found.client_secret[:LONGEST]
        held = redacted(held, props)
        return ReadResult(id_, held, _inputs(held))

    def delete(self, _id: str, _props: Properties) -> None:
        """Remove the entry if this stack made it, else empty its two values; another application's stay.

        Raises ApplicationProtected, before anything is changed, where the engine would not destroy the application.
        """
        if not _props.get("config_file"):
            super().delete(_id, _props)
            return
        from provisioning.nocobase3 import push  # noqa: PLC0415 - see above
        from provisioning.nocobase3.places import place_of as configuration_at  # noqa: PLC0415 - see above

        if self._is_served_further(_props):
            return
        place, provider = configuration_at(_props["config_file"]), _props["mail_provider"]
        redact_from_now_on(str(_props.get("client_secret") or ""))
        try:
            with remedies_for(_props.get("logins") or [""]):
                before = self._before_clearing(place, provider, _props)
                if before is None:
                    return
                if before.found.client_id not in (own_client_id(_props), _props.get("written_client_id")):
                    say(f"The configuration {place} holds other credentials by now; they were not changed.")
                    return
                push.clear(place, provider, before, str(_props.get("made") or ""))
        except NocoBaseError as error:
            raise with_way_out(error, _props) from None
        self._restart_after_clearing(_props["nocobase_url"], _props.get("restart") or [])

    def _before_clearing(self, place: Place, provider: str, props: Properties) -> Reading | None:
        """The configuration, None if there is nothing of this stack's to clear. Raises ConfigurationUnusable."""
        from provisioning.nocobase3 import push  # noqa: PLC0415 - see above

        try:
            before = push.read(place, provider)
        except NocoBaseError as error:
            if not props.get(UNWRITTEN):
                raise
            say(f"{error}\nBy the state nothing was written there, so nothing has to be cleared.")
            return None
        return before if before.found.client_id else None

    def _restart_after_clearing(self, url: str, command: list[str]) -> None:
        """The credentials end with the application, so a restart that fails does not hold `destroy` up."""
        from provisioning.nocobase3 import push  # noqa: PLC0415 - see above

        if not command:
            say(f"NocoBase at {url} offers the mail provider until it is restarted.")
            return
        try:
            push.restart(url, command)
        except (NocoBaseError, Interrupted) as error:
            say(f"warning: {error}")

    @contextmanager
    def _target(self, props: Mapping[str, Any], patient: bool = True) -> Iterator[_Target]:
        from provisioning.nocobase3.places import place_of as configuration_at  # noqa: PLC0415 - see above
        from provisioning.nocobase3.server import MailServer  # noqa: PLC0415 - see above

        names, login, patience = self._access(props, patient)
        url = props["nocobase_url"]
        redact_from_now_on(*login.secrets, str(props.get("client_secret") or ""))
        with (
            remedies_for(names),
            MailServer(url, login, patience, known_secrets()) as server,
        ):
            yield _Target(url, configuration_at(props["config_file"]), props["mail_provider"], server)


class ConfiguredMailSettings(MailSettings, module="nocobase", name=TYPE_NAME):
    """The entry of a mail provider in the configuration of a NocoBase 3, verified by NocoBase's sign-in link.

    restart_due: what to say as long as NocoBase has not been started with it.
    """

    def __init__(
        self,
        installation: Installation,
        configuration: Configuration,
        application: DeployedApplication,
        secrets: SecretPlan,
        provider: NocoBaseProvider,
        several: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        more = {
            "config_file": configuration.place,
            "mail_provider": configuration.provider,
            "restart": list(configuration.restart),
            "scopes": list(configuration.scopes),
            "written_client_id": application.client_id,
            "made": None,
            "restart_due": None,
        }
        super().__init__(
            installation, application, secrets, provider, several, opts, runs_in=ConfigurationProvider(), more=more
        )


def push_into(
    installation: Installation,
    application: DeployedApplication,
    secrets: SecretPlan,
    provider: NocoBaseProvider,
    several: bool = False,
) -> MailSettings:
    """The push into one NocoBase, of whichever version."""
    if installation.configuration is None:
        return MailSettings(installation, application, secrets, provider, several)
    return ConfiguredMailSettings(installation, installation.configuration, application, secrets, provider, several)


def _entry(properties: Mapping[str, Any], order: tuple[str, ...] | None = None) -> Entry:
    """What the declaration asks for. order: of the scopes; another set of them is not taken."""
    from provisioning.nocobase3.config_file import Entry  # noqa: PLC0415 - see above

    scopes = tuple(properties["scopes"])
    given = order if order is not None and sorted(order) == sorted(scopes) else scopes
    audience, tenant_id = Audience(properties["audience"]), properties.get("tenant_id")
    own = credentials_of(properties)
    return Entry(own.client_id, own.client_secret, authority_for(audience, tenant_id), given)


def _read(target: _Target) -> Reading:
    """The configuration; what it holds is not shown from now on."""
    from provisioning.nocobase3 import push  # noqa: PLC0415 - see above

    reading = push.read(target.place, target.provider)
    for value in (reading.found.client_secret, reading.client_id):
        # A secret may have been pasted into the wrong key.
        if len(value) >= SECRET_LENGTH and not re.fullmatch(GUID, value):
            redact_from_now_on(value)
    return reading


def _before(target: _Target, olds: Properties, news: Properties) -> Reading:
    """The configuration before a push."""
    before = _read(target)
    target.made = _made(olds, news, before)
    target.holds = before.found.holds(_entry(news))
    return before


def _configuration(properties: Mapping[str, Any]) -> tuple[object, object]:
    return properties["config_file"], properties["mail_provider"]


def _where(properties: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(properties.get(key) for key in WHERE)


def _same_place(olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    return _where(olds) == _where(news)


def _unverified(olds: Mapping[str, Any], news: Properties) -> Properties:
    """The declaration, with what NocoBase was verified to use before; the plan of the client secrets goes by that."""
    if olds.get("slot"):
        return {**news, **{key: olds.get(key) for key in VERIFIED}}
    return {**news, "slot": None, "since": None}


def _made(olds: Mapping[str, Any], news: Mapping[str, Any], before: Reading) -> str:
    """Which part of the entry's path this stack made before; see `config_file.made_by`."""
    from provisioning.nocobase3 import config_file  # noqa: PLC0415 - see above

    if _same_place(olds, news):
        return str(olds.get("made") or "")
    # Else an interrupted run may have written it.
    own = before.client_id == news["client_id"]
    return config_file.made_by_interrupted(before.text, news["mail_provider"]) if own else ""


def _inputs(held: Properties) -> Properties:
    return {key: held.get(key) for key in (*DECLARED, *HOW, "take_over", "written_client_id")}
