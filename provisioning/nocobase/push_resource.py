"""The push as a Pulumi resource, the last node of the graph: preview shows it, refresh sees drift, destroy clears it.

It is a dynamic resource, which `mail_settings` declares: the engine runs this module in a process of its own, also when
the program itself does not run (`destroy`). The login to NocoBase comes from that process's environment, which never
enters the state, or from the stack's secret configuration, which stays encrypted there.

If the stack has one NocoBase, a failed push fails like any resource. If it has several, the failure is recorded in the
resource, so that the engine still serves the others; `mail_settings.require_all` then fails the run before anything
old is removed.

A sign-in link that lets in nobody of the application's audience fails the first push into a NocoBase; a change of the
audience fails before that, in `preflight.check_audience`. Where it has been so before, such as in a stack of an earlier
version, which did not look, a failure would stop rotations and mend nothing. Then each run warns.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from pulumi.dynamic import (
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

from provisioning import waiting
from provisioning.entra.other_applications import is_another_stacks, whose_application
from provisioning.entra.sign_in_settings import PROVIDER_KEYS, use_configuration
from provisioning.errors import ApplicationProtected, Interrupted, NocoBaseError, ProvisioningError, SettingsError
from provisioning.foreign import LONGEST, listed
from provisioning.nocobase import provider_process, push, sign_in_link
from provisioning.nocobase.installation import NOT_READ, remedies_for
from provisioning.nocobase.login import STORED, NocoBaseLogin, StoredLogins, missing_login, stored_logins
from provisioning.nocobase.provider_process import keep_secrets, known_secrets, say, without_secrets
from provisioning.nocobase.push import Credentials, Reading
from provisioning.nocobase.push_record import (
    DECLARED,
    HOW,
    PLACE,
    TRANSFORMED,
    Place,
    Properties,
    accounts_of,
    credentials_of,
    inputs_of,
    installation_of,
    mapping_of,
    own_client_id,
    place_of,
    proved,
    redacted,
    was_transformed,
    with_client_id,
)
from provisioning.nocobase.retry import SETTING as PATIENCE
from provisioning.nocobase.retry import Patience, seconds_or_default
from provisioning.nocobase.sign_in_link import Accounts, SignIn
from provisioning.variables import forget_unresolved
from provisioning.waiting import say_on_stderr

if TYPE_CHECKING:
    from provisioning.nocobase.client import NocoBaseClient

FRESH_SECONDS = 30.0
"""How long what a refresh has read counts as what NocoBase holds: a run compares it twice more, at once."""


@dataclass(frozen=True)
class Seen:
    """What a NocoBase showed at one moment. reading: of its version. how: by which part of a declaration."""

    reading: Any
    link: SignIn | None
    how: tuple[object, ...]
    at: float = field(default_factory=time.monotonic)


PROTECTED = (
    "The application is protected (protectApplication), because somebody made it by hand and may rely on it; nothing "
    "was emptied or removed. To have the stack let go of it, all as it is: `pulumi state delete --all --force`. To "
    "remove it: `pulumi config set protectApplication false`, `pulumi up`, then `pulumi destroy`."
)


class MailSettingsProvider(ResourceProvider):
    """Creates, compares, reads and clears the credentials in NocoBase, each time through its REST API."""

    serialize_as_secret_always = False
    """The serialized provider is only the name of this class."""

    _logins: StoredLogins
    """Those of the stack's configuration."""

    _patience_seconds: int
    _patience: dict[str, Patience]
    """How much of it is left for each NocoBase, by URL."""

    _read: dict[Place, Reading]
    """What Diff read of a NocoBase, kept for the Update in the same run, so that the push reads once."""

    _seen: dict[Place, Seen]
    """What the refresh has read of a NocoBase, kept for the comparisons that follow in the same run."""

    _unread: set[Place]
    """What the refresh could not read; the engine compares each at once with what was declared."""

    _verifying: Lock
    _verified: set[Credentials]
    """What the token endpoint has accepted in this run, so that several NocoBases wait for it once."""

    _served: dict[Place, str]
    """The places that this run declares, and as which installation: one that was only renamed must not be emptied."""

    def configure(self, req: ConfigureRequest) -> None:
        """Take the API keys, headers and how long to wait from the stack's configuration. Raises SettingsError."""
        provider_process.report_errors_as_sentences()
        provider_process.end_waits_when_cancelled()
        forget_unresolved()
        # Of the provider's keys: the engine gives this process the stack's whole configuration (measured).
        use_configuration({key: req.config.get(key) for key in PROVIDER_KEYS if req.config.get(key) is not None})
        self._logins = stored_logins({key: req.config.get(key) for key in STORED})
        self._patience_seconds = seconds_or_default(req.config.get(PATIENCE))
        self._patience = {}
        self._read = {}
        self._seen, self._unread = {}, set()
        self._verifying, self._verified = Lock(), set()
        self._served = {}

    def check(self, _olds: Properties, news: Properties) -> CheckResult:
        """Note the place that this run declares; the engine calls this for the program, not to refresh or destroy."""
        self._served[place_of(news)] = installation_of(news)
        return CheckResult(news, [])

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> DiffResult:
        """Whether the declaration has changed, or NocoBase differs from it.

        NocoBase is read in either case, so that a preview fails if it cannot be reached, before anything is changed.
        The engine compares one resource after the other: with several NocoBases, this waits for none of them. It also
        compares after each read of a refresh: what could not be read counts as changed there, and fails nothing.
        """
        if self._was_unread(_news):
            return DiffResult(changes=True)
        try:
            in_sync = self._is_in_sync(_olds, _news)
        except NocoBaseError as error:
            if not _news.get("several"):
                raise
            say(str(error))
            in_sync = False
        return DiffResult(changes=not in_sync)

    def _is_in_sync(self, olds: Properties, news: Properties) -> bool:
        """Whether NocoBase holds what is declared, and nothing of that has changed. Raises NocoBaseError."""
        changed = any(olds.get(key) != news.get(key) for key in (*DECLARED, *HOW))
        # The latter is of a NocoBase 3, which had this name before.
        changed = changed or bool(olds.get("problem") or olds.get("config_file"))
        with self._nocobase(news, patient=not news.get("several")) as nocobase:
            transformed = was_transformed(olds, news)
            seen = self._seen_just_now(news, (news.get("mapping"), transformed))
            if seen is None:
                found = push.read(nocobase, mapping_of(news), transformed=transformed)
                self._read[place_of(news)] = found
            else:
                found = seen.reading
            if changed or not found.surely_holds(credentials_of(olds), olds.get("updated_at") or ""):
                return False
            link = push.sign_in(nocobase, mapping_of(news)) if seen is None else seen.link
            _warn_of_audience(nocobase.url, link, news)
            return sign_in_link.sign_in_mismatch(link, news["client_id"], news["redirect_uris"]) is None

    def _go_on_without(self, props: Properties, error: ProvisioningError) -> None:
        """Say that a NocoBase could not be read, and have the comparison that follows at once know of it."""
        self._unread.add(place_of(props))
        say(f"{error}\n{NOT_READ}")

    def _was_unread(self, news: Properties) -> bool:
        """Whether the refresh could not read it just now; the next comparison is the program's."""
        place = place_of(news)
        unread = place in self._unread
        self._unread.discard(place)
        return unread

    def _seen_just_now(self, props: Properties, how: tuple[object, ...]) -> Seen | None:
        """What the refresh of this run has read, if it was read in the same way."""
        seen = self._seen.get(place_of(props))
        return seen if seen and seen.how == how and time.monotonic() - seen.at < FRESH_SECONDS else None

    def create(self, props: Properties) -> CreateResult:
        """Push into a NocoBase for the first time; foreign credentials there are not overwritten."""
        self._seen.pop(place_of(props), None)
        id_ = f"{props['nocobase_url']}#{props.get('nocobase_app') or 'main'}"
        try:
            with self._nocobase(props) as nocobase:
                found = push.read(nocobase, mapping_of(props))
                own = [props["client_id"], props.get("take_over")]
                push.reject_foreign(nocobase.url, found, own, whose_application)
                self._wait_until_accepted(props, new=True)
                try:
                    return CreateResult(id_, _push(nocobase, props, found, accounts=accounts_of(props)))
                except (NocoBaseError, Interrupted):
                    # A failed create is not recorded in the state, so `destroy` would never empty what it wrote.
                    if not found.client_id:
                        with suppress(NocoBaseError, Interrupted):
                            push.clear(nocobase, mapping_of(props), credentials_of(props))
                    raise
        except ProvisioningError as error:
            if not props.get("several"):
                raise
            return CreateResult(id_, {**props, "slot": None, "since": None, "problem": str(error)})

    def update(self, _id: str, _olds: Properties, _news: Properties) -> UpdateResult:
        """Push what the declaration changed, or repair what somebody changed in NocoBase.

        A changed address is an update, not a replacement: a replacement would empty the values at the old address,
        which mostly belongs to the same NocoBase.
        """
        self._seen.pop(place_of(_news), None)
        try:
            return UpdateResult(self._update(_olds, _news))
        except ProvisioningError as error:
            if not _news.get("several"):
                raise
            # The last verified values stay recorded, so that no secret that NocoBase may use is removed.
            return UpdateResult({**_olds, "problem": str(error)})

    def _update(self, olds: Properties, news: Properties) -> Properties:
        same = credentials_of(olds) == credentials_of(news)
        # Check also a secret that was pushed before: somebody may have removed it in Entra ID since.
        self._wait_until_accepted(news, new=not same or not olds.get("slot"))
        with self._nocobase(news) as nocobase:
            found = self._read.pop(place_of(news), None) or push.read(
                nocobase, mapping_of(news), transformed=was_transformed(olds, news)
            )
            if not olds.get("slot") or any(olds.get(key) != news.get(key) for key in PLACE):
                own = [own_client_id(olds), news["client_id"], news.get("take_over")]
                push.reject_foreign(nocobase.url, found, own, whose_application)
            elif self._was_taken_over(found, news):
                push.reject_foreign(nocobase.url, found, [], whose_application)
            first = not olds.get("slot") or place_of(olds) != place_of(news)
            accounts = accounts_of(news) if first else None
            outputs = _push(nocobase, news, found, (olds.get("updated_at") or "") if same else "", accounts)
        if olds.get("config_file"):
            say_what_stays(olds)
        return outputs

    def _was_taken_over(self, found: push.HoldsClientId, news: Properties) -> bool:
        """Whether another stack serves this NocoBase by now: two stacks that correct each other would break mail.

        A client ID that a person entered is drift, which the push corrects.
        """
        if found.client_id in ("", news["client_id"], news.get("take_over")):
            return False
        return is_another_stacks(found.client_id, news["client_id"])

    def _wait_until_accepted(self, properties: Properties, new: bool) -> None:
        """Wait until the token endpoint accepts the secret, before NocoBase gets it; once a run for all of them.

        new: whether no earlier run has verified it.
        """
        # 0.2 s of imports (azure-identity) that only a run with something to push needs.
        from provisioning.entra.token_check import ENDPOINT, wait_until_accepted  # noqa: PLC0415

        credentials = credentials_of(properties)
        with self._verifying:
            if credentials not in self._verified:
                secret = (properties["tenant_id"], credentials.client_id, credentials.client_secret)
                try:
                    waiting.answer_of(lambda: wait_until_accepted(*secret, new, say_on_stderr), ENDPOINT)
                except Interrupted:
                    raise Interrupted(
                        "Interrupted while Entra ID's token endpoint was waited for; NocoBase was not changed. "
                        "Run the command again."
                    ) from None
                self._verified.add(credentials)

    def read(self, id_: str, props: Properties) -> ReadResult:
        """What NocoBase holds now; an empty id, which means a deleted resource to the engine, if the row is gone.

        A NocoBase that cannot be read stops no refresh, which begins every run: it may have moved, and its key may be a
        new one, which only the program knows. Whatever needs it waits for it, and fails by itself; this waits for none.
        """
        try:
            with self._nocobase(props, patient=False) as nocobase:
                transformed = was_transformed(props, props)
                found = push.read(nocobase, mapping_of(props), transformed=transformed)
                if found.layout.row is None:
                    return ReadResult("", {})
                link = push.sign_in(nocobase, mapping_of(props))
                self._seen[place_of(props)] = Seen(found, link, (props.get("mapping"), transformed))
        except (NocoBaseError, SettingsError) as error:
            self._go_on_without(props, error)
            return ReadResult(id_, props, inputs_of(props))
        held = {**with_client_id(found.client_id, props), **proved(link, props), "row_id": found.row_id}
        if found.client_secret is not None:
            # A longer one is not the stack's either, and would only fill the state.
            held["client_secret"] = found.client_secret[:LONGEST]
        elif found.updated_at != (props.get("updated_at") or ""):
            # The secret is hidden, so a newer time of change is the only sign of drift; the next `up` writes it again.
            held["updated_at"] = f"changed by somebody else at {found.updated_at}"
        held = redacted(held, props)
        return ReadResult(id_, held, inputs_of(held))

    def delete(self, _id: str, _props: Properties) -> None:
        """Empty the two values if they are this stack's, unless this run serves the same place under another name.

        Raises ApplicationProtected, before anything is emptied, where the engine would not destroy the application.
        """
        if self._is_served_further(_props):
            return
        try:
            with self._nocobase(_props) as nocobase:
                if not push.clear(nocobase, mapping_of(_props), Credentials(own_client_id(_props), "")):
                    say(f"NocoBase at {nocobase.url} holds other credentials by now; they were not changed.")
        except (NocoBaseError, SettingsError) as error:
            raise with_way_out(error, _props) from None

    def _is_served_further(self, props: Properties) -> bool:
        """Whether this run serves the same place under another name, which then is not emptied; says so.

        Raises ApplicationProtected where the engine would not destroy the application.
        """
        served_as = self._served.get(place_of(props))
        destroyed = not self._served or served_as == installation_of(props)
        if destroyed and props.get("protected"):
            raise ApplicationProtected(PROTECTED)
        if served_as is None or destroyed:
            return False
        say(f"NocoBase at {props['nocobase_url']} is served under another name now; nothing was emptied.")
        return True

    @contextmanager
    def _nocobase(self, props: Mapping[str, Any], patient: bool = True) -> Iterator[NocoBaseClient]:
        # 0.1 s of imports (httpx): the program imports this module too, only to declare the resource.
        from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415

        names, login, patience = self._access(props, patient)
        url, app = props["nocobase_url"], props.get("nocobase_app")
        secret = str(props["client_secret"] or "")
        with NocoBaseClient(url, app, login, patience, {*known_secrets(), secret}) as nocobase:
            keep_secrets(nocobase)
            try:
                with remedies_for(names):
                    yield nocobase
            finally:
                keep_secrets(nocobase)

    def _access(self, props: Mapping[str, Any], patient: bool) -> tuple[Sequence[str], NocoBaseLogin, Patience | None]:
        """The names by which logins are found, the login, and what is left of the patience with this NocoBase.

        patient: whether to wait for it. Raises SettingsError without a login.
        """
        names = props.get("logins") or [""]
        login = self._logins.first(names)
        if login is None:
            raise SettingsError([missing_login(names[0])])
        patience = self._patience.setdefault(props["nocobase_url"], Patience(self._patience_seconds))
        return names, login, patience if patient else None


def say_what_stays(olds: Mapping[str, Any]) -> None:
    """Say where a client secret stays in the configuration of a NocoBase 3 that got it last."""
    earlier = f"mail.providers.{olds.get('mail_provider')} in the configuration {olds['config_file']}"
    say(f"{earlier} still has a client secret: remove it there once no NocoBase reads it any more.")


def _warn_of_audience(url: str, link: SignIn | None, properties: Properties) -> None:
    reason = sign_in_link.audience_mismatch(link, accounts_of(properties))
    if reason is not None:
        say(f"warning: nobody can sign in to NocoBase at {url}: {reason[0]}. {reason[1]}")


def _push(
    nocobase: NocoBaseClient,
    properties: Properties,
    found: Reading,
    written_at: str = "",
    accounts: Accounts | None = None,
) -> Properties:
    """Push and return the outputs: what was declared, and what was verified. accounts: see `write_and_verify`."""
    mapping, credentials, uris = mapping_of(properties), credentials_of(properties), properties["redirect_uris"]
    found, link = push.write_and_verify(
        nocobase, mapping, credentials, redirect_uris=uris, found=found, written_at=written_at, accounts=accounts
    )
    keep_secrets(nocobase)
    _warn_of_audience(nocobase.url, link, properties)
    if found.also_changed:
        # Only the two values were sent, so somebody else changed these, or the email manager itself.
        others = listed(without_secrets(name) for name in found.also_changed)
        say(f"Other email settings of NocoBase at {nocobase.url} changed at the same moment: {others}.")
    if found.layout.transformed:
        properties = {**properties, TRANSFORMED: True}
    row = {"row_id": found.row_id, "updated_at": found.updated_at}
    return redacted({**properties, **row, **proved(link, properties)}, properties)


def with_way_out(error: NocoBaseError | SettingsError, properties: Mapping[str, Any]) -> ProvisioningError:
    """The same error, and how to have the engine forget a NocoBase that is gone for good."""
    installation = installation_of(properties)
    name = f"nocobase-{installation}" if installation else "nocobase"
    way_out = (
        f"If this NocoBase is gone for good: `pulumi stack --show-urns` shows the URN that ends in "
        f"MailSettings::{name}; `pulumi state delete '<URN>'`, then repeat the command."
    )
    if isinstance(error, NocoBaseError):
        return type(error)(error.what, error.why, f"{error.remedy}\n{way_out}", error.status)
    return SettingsError([replace(problem, remedy=f"{problem.remedy}\n    {way_out}") for problem in error.problems])
