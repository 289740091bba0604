"""The push as a Pulumi resource, the last node of the graph: preview shows it, refresh sees drift, destroy clears it.

It is a dynamic resource: the engine runs this module in a process of its own, also when the program itself does not run
(`destroy`). The login to NocoBase comes from that process's environment, which never enters the state, or from the
stack's secret configuration, which stays encrypted there.

If the stack has one NocoBase, a failed push fails like any resource. If it has several, the failure is recorded in the
resource, so that the engine still serves the others; `require_all` then fails the run before anything old is removed.

A sign-in link that lets in nobody of the application's audience fails the first push into a NocoBase; a change of the
audience fails before that, in `preflight.check_audience`. Where it has been so before, such as in a stack of an earlier
version, which did not look, a failure would stop rotations and mend nothing. Then each run warns.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import pulumi
from pulumi.dynamic import (
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from provisioning import waiting
from provisioning.ending import end_with
from provisioning.entra.client_secret_plan import SecretPlan, rfc3339
from provisioning.entra.other_applications import is_another_stacks, whose_application
from provisioning.entra.rules import LONGEST_REDIRECT_URI
from provisioning.entra.sign_in_settings import PROVIDER_KEYS, use_configuration
from provisioning.errors import (
    ApplicationProtected,
    Interrupted,
    NocoBaseError,
    ProvisioningError,
    SettingsError,
)
from provisioning.foreign import LONGEST, guid, harmless, listed, one_line, redact
from provisioning.nocobase import push
from provisioning.nocobase.installation import MAIN, NOT_READ, remedies_for
from provisioning.nocobase.layout import NocoBaseMapping
from provisioning.nocobase.login import STORED, StoredLogins, missing_login, stored_logins
from provisioning.nocobase.push import Accounts, Credentials, Reading, SignIn
from provisioning.nocobase.retry import SETTING as PATIENCE
from provisioning.nocobase.retry import Patience, seconds_or_default
from provisioning.variables import forget_unresolved
from provisioning.waiting import say_on_stderr

if TYPE_CHECKING:
    from provisioning.nocobase.client import NocoBaseClient
    from provisioning.nocobase.installation import Installation

TYPE_NAME = "MailSettings"

PLACE = ("nocobase_url", "nocobase_app", "mapping")
"""The declared properties that say where the credentials go."""

DECLARED = (*PLACE, "client_id", "client_secret", "redirect_uris", "slot", "since")
"""The properties that the program declares; a change of one of them is pushed."""

HOW = ("logins", "several", "protected")
"""The declared properties that refresh and destroy need; recorded again when they change."""

NOT_COMPARED = ("tenant_id", "take_over", "audience")
"""Declared, too, but without effect on what NocoBase holds."""

TRANSFORMED = "secret_transformed"
"""The property, only where it is true, that NocoBase shows the secret as something else; see `Layout`."""

Properties = dict[str, Any]
Place = tuple[str, str | None]
"""A NocoBase's URL, and the sub-application."""

FRESH_SECONDS = 30.0
"""How long what a refresh has read counts as what NocoBase holds: a run compares it twice more, at once."""


@dataclass(frozen=True)
class Seen:
    """What a NocoBase showed at one moment. reading: of its version. how: by which part of a declaration."""

    reading: Any
    link: SignIn | None
    how: tuple[object, ...]
    at: float = field(default_factory=time.monotonic)


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
        _report_errors_as_sentences()
        _end_waits_when_cancelled()
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
        several = bool(_news.get("several"))
        changed = any(_olds.get(key) != _news.get(key) for key in (*DECLARED, *HOW))
        # The latter is of a NocoBase 3, which had this name before.
        changed = changed or bool(_olds.get("problem") or _olds.get("config_file"))
        try:
            with self._nocobase(_news, patient=not several) as nocobase:
                transformed = _transformed(_olds, _news)
                seen = self._seen_just_now(_news, (_news.get("mapping"), transformed))
                if seen is None:
                    self._read[place_of(_news)] = found = push.read(nocobase, _mapping(_news), transformed=transformed)
                else:
                    found = seen.reading
                in_sync = not changed and found.surely_holds(credentials_of(_olds), _olds.get("updated_at") or "")
                if in_sync:
                    link = push.sign_in(nocobase, _mapping(_news)) if seen is None else seen.link
                    _warn_of_audience(nocobase.url, link, _news)
                    in_sync = push.sign_in_mismatch(link, _news["client_id"], _news["redirect_uris"]) is None
        except NocoBaseError as error:
            if not several:
                raise
            say(str(error))
            in_sync = False
        return DiffResult(changes=not in_sync)

    def _go_on_without(self, props: Properties, error: ProvisioningError) -> None:
        """Say that a NocoBase could not be read, and have the comparison that follows at once know of it."""
        self._unread.add(place_of(props))
        say(f"{error} {NOT_READ}")

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
                found = push.read(nocobase, _mapping(props))
                own = [props["client_id"], props.get("take_over")]
                push.reject_foreign(nocobase.url, found, own, whose_application)
                self._wait_until_accepted(props, new=True)
                try:
                    return CreateResult(id_, _push(nocobase, props, found, accounts=_accounts(props)))
                except (NocoBaseError, Interrupted):
                    # A failed create is not recorded in the state, so `destroy` would never empty what it wrote.
                    if not found.client_id:
                        with suppress(NocoBaseError, Interrupted):
                            push.clear(nocobase, _mapping(props), credentials_of(props))
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
                nocobase, _mapping(news), transformed=_transformed(olds, news)
            )
            if not olds.get("slot") or any(olds.get(key) != news.get(key) for key in PLACE):
                own = [own_client_id(olds), news["client_id"], news.get("take_over")]
                push.reject_foreign(nocobase.url, found, own, whose_application)
            elif self._was_taken_over(found, news):
                push.reject_foreign(nocobase.url, found, [], whose_application)
            first = not olds.get("slot") or place_of(olds) != place_of(news)
            accounts = _accounts(news) if first else None
            return _push(nocobase, news, found, (olds.get("updated_at") or "") if same else "", accounts)

    def _was_taken_over(self, found: push.HoldsClientId, news: Properties) -> bool:
        """Whether another stack serves this NocoBase by now: two stacks that correct each other would break mail.

        A client id that a person entered is drift, which the push corrects.
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
                transformed = _transformed(props, props)
                found = push.read(nocobase, _mapping(props), transformed=transformed)
                if found.layout.row is None:
                    return ReadResult("", {})
                link = push.sign_in(nocobase, _mapping(props))
                self._seen[place_of(props)] = Seen(found, link, (props.get("mapping"), transformed))
        except (NocoBaseError, SettingsError) as error:
            self._go_on_without(props, error)
            return ReadResult(id_, props, _inputs(props))
        held = {**with_client_id(found.client_id, props), **proved(link, props), "row_id": found.row_id}
        if found.client_secret is not None:
            # A longer one is not the stack's either, and would only fill the state.
            held["client_secret"] = found.client_secret[:LONGEST]
        elif found.updated_at != (props.get("updated_at") or ""):
            # The secret is hidden, so a newer time of change is the only sign of drift; the next `up` writes it again.
            held["updated_at"] = f"changed by somebody else at {found.updated_at}"
        held = redacted(held, props)
        return ReadResult(id_, held, _inputs(held))

    def delete(self, _id: str, _props: Properties) -> None:
        """Empty the two values if they are this stack's, unless this run serves the same place under another name.

        Raises ApplicationProtected, before anything is emptied, where the engine would not destroy the application.
        """
        if self._is_served_further(_props):
            return
        try:
            with self._nocobase(_props) as nocobase:
                if not push.clear(nocobase, _mapping(_props), Credentials(own_client_id(_props), "")):
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
        names = props.get("logins") or [""]
        login = self._logins.first(names)
        if login is None:
            raise SettingsError([missing_login(names[0])])
        # 0.1 s of imports (httpx): the program imports this module too, only to declare the resource.
        from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415

        url, app = props["nocobase_url"], props.get("nocobase_app")
        patience = self._patience.setdefault(url, Patience(self._patience_seconds))
        secret = str(props["client_secret"] or "")
        with NocoBaseClient(url, app, login, patience if patient else None, {*_SECRETS, secret}) as nocobase:
            keep_secrets(nocobase)
            try:
                with remedies_for(names):
                    yield nocobase
            finally:
                keep_secrets(nocobase)


class NocoBaseProvider(pulumi.ProviderResource):
    """The process in which MailSettings runs.

    It inherits the environment. From the stack's configuration it gets the API keys and headers, which stay secret, and
    how long to wait for NocoBase.
    """

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        config, project = pulumi.Config(), pulumi.get_project()
        given = {key: config.get_secret(key) for key in STORED if config.get(key) not in NOTHING}
        properties = {
            f"{project}:{key}": value for key, value in {**given, PATIENCE: config.get(PATIENCE)}.items() if value
        }
        super().__init__("pulumi-python", name, properties, opts)


PROTECTED = (
    "The application is protected (protectApplication), because somebody made it by hand and may rely on it; nothing "
    "was emptied or removed. To have the stack let go of it, all as it is: `pulumi state delete --all --force`. To "
    "remove it: `pulumi config set protectApplication false`, `pulumi up`, then `pulumi destroy`."
)

NOTHING = (None, "", "{}")
"""How an object that is not set may be configured."""


class DeployedApplication(Protocol):
    """What the push takes from the application in Entra ID; see `program.application.MailApplication`.

    The push comes after all `parts`, so `destroy` begins with it.
    """

    tenant_id: pulumi.Output[str]
    client_id: pulumi.Output[str]
    client_secret: pulumi.Output[str]
    audience: str
    protected: bool
    parts: Sequence[pulumi.Resource]


class MailSettings(Resource, module="nocobase", name=TYPE_NAME):
    """NocoBase's email settings: they hold the client id and the client secret, verified by NocoBase's sign-in link.

    proved_client_id, proved_redirect_uri: what that link says. problem: why the push failed, if the stack has several;
    see `require_all`.
    """

    proved_client_id: pulumi.Output[str]
    proved_redirect_uri: pulumi.Output[str]
    problem: pulumi.Output[str | None]
    restart_due: pulumi.Output[str | None] | None = None
    """Of a NocoBase 3 only: what to say as long as it has not been restarted; see `nocobase3.push_resource`."""

    def __init__(
        self,
        installation: Installation,
        application: DeployedApplication,
        secrets: SecretPlan,
        provider: NocoBaseProvider,
        several: bool = False,
        opts: pulumi.ResourceOptions | None = None,
        runs_in: MailSettingsProvider | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """runs_in: the provider of another target than NocoBase 2, with `more` properties."""
        properties = {
            "nocobase_url": installation.url,
            "nocobase_app": installation.app,
            "mapping": installation.mapping.recorded() if installation.mapping != NocoBaseMapping() else None,
            "tenant_id": application.tenant_id,
            "client_id": application.client_id,
            "client_secret": application.client_secret,
            "slot": secrets.active.value,
            "since": rfc3339(secrets.since),
            "redirect_uris": list(installation.redirect_uris),
            "take_over": installation.take_over,
            "audience": application.audience,
            "logins": list(installation.logins),
            "several": several,
            "protected": application.protected or None,
            "row_id": None,
            "updated_at": None,
            "proved_client_id": None,
            "proved_redirect_uri": None,
            "problem": None,
            **(more or {}),
        }
        opts = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(provider=provider, depends_on=list(application.parts))
        )
        super().__init__(runs_in or MailSettingsProvider(), installation.resource_name, properties, opts)


def require_all(pushes: Sequence[MailSettings], removes: bool = False) -> None:
    """Fail the run if a push recorded that it failed; the engine then removes nothing that is old.

    removes: whether this run would remove a client secret. Then it fails, too, where a NocoBase has to be restarted.
    """
    dues = [push.restart_due for push in pushes if push.restart_due is not None]

    def require(said: Sequence[str | None]) -> None:
        failed = [problem for problem in said[: len(pushes)] if problem]
        due = [text for text in said[len(pushes) :] if text]
        if failed:
            served = f"{len(pushes) - len(failed)} of {len(pushes)} NocoBase installations are served."
            end_with("\n".join([*failed, *due, f"{served} Run `pulumi up` again."]))
        if due and removes:
            end_with("\n".join([*due, "No client secret was removed."]))
        for text in due:
            pulumi.warn(harmless(text))

    if (len(pushes) > 1 or dues) and not pulumi.runtime.is_dry_run():
        pulumi.Output.all(*(push.problem for push in pushes), *dues).apply(require)


_SECRETS: set[str] = set()
"""What this process redacts in all that it prints and records."""


def keep_secrets(nocobase: NocoBaseClient) -> None:
    """Redact from now on what `nocobase` knows, also the token and the secrets that it got by its requests."""
    redact_from_now_on(*nocobase.secrets)


def redact_from_now_on(*secrets: str) -> None:
    """Redact these in all that this process prints and records."""
    _SECRETS.update(filter(None, secrets))


def known_secrets() -> frozenset[str]:
    """What this process redacts."""
    return frozenset(_SECRETS)


def without_secrets(text: str) -> str:
    # A copy: other NocoBases are served in other threads, which add to it.
    return redact(text, tuple(_SECRETS))


def say(text: str) -> None:
    """Print for the engine, which shows it."""
    print(harmless(without_secrets(text)))


def _mapping(properties: Mapping[str, Any]) -> NocoBaseMapping:
    return NocoBaseMapping.of_record(properties.get("mapping"))


def place_of(properties: Mapping[str, Any]) -> Place:
    return properties["nocobase_url"], properties.get("nocobase_app")


def installation_of(properties: Mapping[str, Any]) -> str:
    """The installation's name."""
    return str((properties.get("logins") or [MAIN])[0])


def _transformed(olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Whether the last push into this place saw that NocoBase shows the secret as something else."""
    return bool(olds.get(TRANSFORMED)) and all(olds.get(key) == news.get(key) for key in PLACE)


def credentials_of(properties: Mapping[str, Any]) -> Credentials:
    return Credentials(properties["client_id"], properties["client_secret"])


def _accounts(properties: Mapping[str, Any]) -> Accounts | None:
    """Who may sign in to the application; None if the program did not say."""
    audience = properties.get("audience")
    return Accounts(audience, properties.get("tenant_id")) if audience else None


def _warn_of_audience(url: str, link: SignIn | None, properties: Properties) -> None:
    reason = push.audience_mismatch(link, _accounts(properties))
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
    credentials, uris = credentials_of(properties), properties["redirect_uris"]
    found, link = push.write_and_verify(nocobase, _mapping(properties), credentials, uris, found, written_at, accounts)
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


def _inputs(held: Properties) -> Properties:
    return {key: held.get(key) for key in (*DECLARED, *HOW, *NOT_COMPARED)}


def with_way_out(error: NocoBaseError | SettingsError, properties: Mapping[str, Any]) -> ProvisioningError:
    """The same error, and how to have the engine forget a NocoBase that is gone for good."""
    installation = installation_of(properties)
    name = f"nocobase-{installation}" if installation else "nocobase"
    way_out = (
        f"If this NocoBase is gone for good: `pulumi stack --show-urns` shows the URN that ends in "
        f"MailSettings::{name}; `pulumi state delete '<URN>'`, then repeat the command."
    )
    if isinstance(error, NocoBaseError):
        return type(error)(error.what, error.why, f"{error.remedy} {way_out}", error.status)
    return SettingsError([replace(problem, remedy=f"{problem.remedy}\n    {way_out}") for problem in error.problems])


def redacted(held: Properties, declared: Properties) -> Properties:
    """Redact secrets in the outputs that are stored in plain text: somebody may have put them into other fields.

    A client id and a redirect URI that are `declared` are no secrets, and later runs compare them.
    """
    clear = ("client_id", "row_id", "updated_at", "proved_client_id", "proved_redirect_uri")
    own = (declared["client_id"], *(declared.get("redirect_uris") or ()))
    found = {key: held[key] for key in clear if isinstance(held.get(key), str) and held[key] not in own}
    return held | {key: without_secrets(value) for key, value in found.items()}


OWN_CLIENT_ID = "own_client_id"
"""Recorded by a refresh that has seen another application's: the one that the last run wrote."""


def own_client_id(properties: Mapping[str, Any]) -> str:
    """The client id that the last run wrote, whatever a refresh has seen since."""
    return str(properties.get(OWN_CLIENT_ID) or properties["client_id"])


def with_client_id(found: str | None, properties: Properties) -> Properties:
    """The properties with a client id that a refresh has found, and the own one beside another.

    `destroy` refreshes first, and is to empty only what this stack wrote.
    """
    own = own_client_id(properties)
    others = {key: value for key, value in properties.items() if key != OWN_CLIENT_ID}
    beside = {} if found == own else {OWN_CLIENT_ID: own}
    return {**others, "client_id": shown_client_id(found, own), **beside}


def shown_client_id(found: str | None, own: str) -> str | None:
    """A client id of NocoBase as it may be stored and shown; what cannot be one may be a secret in the wrong field."""
    return found if not found or found == own else guid(found)


def proved(link: SignIn | None, declared: Properties) -> Properties:
    """What NocoBase's link says, for people and for the state."""
    if link is None:
        return {"proved_client_id": None, "proved_redirect_uri": None}
    uri = link.redirect_uri
    if uri and uri not in (declared.get("redirect_uris") or ()):
        uri = one_line(link.redacted(uri), LONGEST_REDIRECT_URI)
    return {"proved_client_id": shown_client_id(link.client_id, own_client_id(declared)), "proved_redirect_uri": uri}


class _Sentences:
    """Replaces the module `traceback` in the engine's provider process."""

    @staticmethod
    def format_exc() -> str:
        """The message of a ProvisioningError, else the traceback; secrets are redacted."""
        error = sys.exception() if sys.version_info >= (3, 12) else sys.exc_info()[1]
        text = str(error) if isinstance(error, ProvisioningError) else traceback.format_exc()
        return harmless(without_secrets(text))


def _cancelled(self: Any, request: Any, context: Any) -> Any:
    """What the engine's cancellation, by Ctrl-C, does in this process. It uses no name of this module: see below."""
    from google.protobuf import empty_pb2  # noqa: PLC0415

    from provisioning import waiting  # noqa: PLC0415

    waiting.end_all()
    return empty_pb2.Empty()


def _end_waits_when_cancelled() -> None:
    """Make a Ctrl-C end the waits of this process: pulumi.dynamic's server ignores it, and offers no hook.

    The server has registered the method already, so the function itself gets another body.
    """
    servicer = getattr(sys.modules["__main__"], "DynamicResourceProviderServicer", None)
    if servicer is not None:
        servicer.Cancel.__code__ = _cancelled.__code__


def _report_errors_as_sentences() -> None:
    """Make this process report ProvisioningErrors by their message alone.

    pulumi.dynamic's server reports every exception by `traceback.format_exc()` and offers no hook.
    """
    server = sys.modules["__main__"]
    if getattr(server, "traceback", None) is traceback:
        server.traceback = _Sentences  # type: ignore[attr-defined]
