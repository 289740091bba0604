"""The push as a Pulumi resource, the last node of the graph: preview shows it, refresh sees drift, destroy clears it.

A dynamic resource: the engine runs this module in a process of its own, also when the program itself does not run
(`destroy`). The login to NocoBase comes from that process's environment, which never enters the state, or from the
stack's secret configuration, which stays encrypted there.

One NocoBase's push fails like any resource. Of several, a failed one is recorded as such and must not keep the engine
from the others; `require_all` then fails the run, before anything old is removed.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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

from provisioning.entra.client_secret_plan import SecretPlan, rfc3339
from provisioning.entra.ownership import is_another_stacks, whose_application
from provisioning.errors import NocoBaseError, ProvisioningError, SettingsError, hide
from provisioning.nocobase import push
from provisioning.nocobase.layout import NocoBaseMapping
from provisioning.nocobase.login import API_KEY, API_KEYS, first_login, missing_login, stored_keys
from provisioning.nocobase.push import Credentials, Reading, SignIn
from provisioning.nocobase.retry import SETTING as PATIENCE
from provisioning.nocobase.retry import Patience, seconds_or_default

if TYPE_CHECKING:
    from provisioning.nocobase.client import NocoBaseClient
    from provisioning.nocobase.installation import Installation

TYPE_NAME = "MailSettings"

PLACE = ("nocobase_url", "nocobase_app", "mapping")
"""The declared properties that say where the credentials go."""

DECLARED = (*PLACE, "client_id", "client_secret", "redirect_uris", "slot", "since")
"""The properties that the program declares; a change of one of them is pushed."""

HOW = ("logins", "several")
"""The declared properties that say how NocoBase is reached; recorded anew when they change, for refresh and destroy."""

NOT_COMPARED = ("tenant_id", "take_over")
"""Declared, too, but of no effect on what NocoBase holds."""

Properties = dict[str, Any]
Place = tuple[str, str | None]
"""A NocoBase's URL, and the sub-application."""


class MailSettingsProvider(ResourceProvider):
    """Creates, compares, reads and clears the credentials in NocoBase, each time through its REST API."""

    serialize_as_secret_always = False
    """The serialized provider is only the name of this class."""

    _keys: Mapping[str, str]
    """The API keys of the stack's configuration, by the installation's name."""

    _patience_seconds: int
    _patience: dict[str, Patience]
    """What is left of it for each NocoBase, by URL."""

    _read: dict[Place, Reading]
    """What Diff read of a NocoBase, for the Update that follows in the same run: so the push reads once."""

    _served: set[Place]
    """What is declared in this run: under its former name, an installation that was renamed must not be emptied."""

    def configure(self, req: ConfigureRequest) -> None:
        """Take the login from the environment, or from the stack's secret configuration; and how long to wait."""
        _report_errors_as_sentences()
        self._keys = stored_keys(req.config.get(API_KEY), req.config.get(API_KEYS))
        self._patience_seconds = seconds_or_default(req.config.get(PATIENCE))
        self._patience = {}
        self._read = {}
        self._served = set()

    def check(self, _olds: Properties, news: Properties) -> CheckResult:
        """Note what this run declares: the engine calls this for the program alone, not to refresh or to destroy."""
        self._served.add(_place(news))
        return CheckResult(news, [])

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> DiffResult:
        """What differs from the declaration: the declaration itself, or what NocoBase holds by now.

        NocoBase is asked in either case, so that a preview tells that it cannot be reached before anything is changed.
        The engine compares one resource after the other: of several, none is waited for here.
        """
        several = bool(_news.get("several"))
        changed = any(_olds.get(key) != _news.get(key) for key in (*DECLARED, *HOW)) or bool(_olds.get("problem"))
        try:
            with self._nocobase(_news, patient=not several) as nocobase:
                found = push.read(nocobase, _mapping(_news))
                self._read[_place(_news)] = found
                proved = not changed and found.surely_holds(_credentials(_olds), _olds.get("updated_at") or "")
                if proved:
                    link = push.sign_in(nocobase, _mapping(_news))
                    proved = push.sign_in_mismatch(link, _news["client_id"], _news["redirect_uris"]) is None
        except NocoBaseError as error:
            if not several:
                raise
            print(error)
            proved = False
        return DiffResult(changes=not proved)

    def create(self, props: Properties) -> CreateResult:
        """Push into a NocoBase that this stack has not pushed into before; another stack's credentials are refused."""
        id_ = f"{props['nocobase_url']}#{props.get('nocobase_app') or 'main'}"
        try:
            with self._nocobase(props) as nocobase:
                found = push.read(nocobase, _mapping(props))
                own = [props["client_id"], props.get("take_over")]
                push.reject_foreign(nocobase.url, found, own, whose_application)
                _wait_until_accepted(props)
                try:
                    return CreateResult(id_, _push(nocobase, props, found))
                except NocoBaseError:
                    # A failed create is in no state, so that no `destroy` would ever empty what it wrote.
                    if not found.client_id:
                        with suppress(NocoBaseError):
                            push.clear(nocobase, _mapping(props), _credentials(props))
                    raise
        except ProvisioningError as error:
            if not props.get("several"):
                raise
            return CreateResult(id_, {**props, "slot": None, "since": None, "problem": str(error)})

    def update(self, _id: str, _olds: Properties, _news: Properties) -> UpdateResult:
        """Push what was declared anew, or repair what somebody changed in NocoBase.

        A changed address is no replacement, which would empty the values at the old one: mostly that is the same
        NocoBase.
        """
        try:
            return UpdateResult(self._update(_olds, _news))
        except ProvisioningError as error:
            if not _news.get("several"):
                raise
            # What NocoBase was last proved to hold stays on record: no secret that it may use is removed.
            return UpdateResult({**_olds, "problem": str(error)})

    def _update(self, olds: Properties, news: Properties) -> Properties:
        # Also a secret that was pushed before: somebody may have removed it since, while NocoBase was given another.
        _wait_until_accepted(news)
        with self._nocobase(news) as nocobase:
            found = self._read.pop(_place(news), None) or push.read(nocobase, _mapping(news))
            if not olds.get("slot") or any(olds.get(key) != news.get(key) for key in PLACE):
                own = [olds["client_id"], news["client_id"], news.get("take_over")]
                push.reject_foreign(nocobase.url, found, own, whose_application)
            elif self._was_taken_over(found, news):
                push.reject_foreign(nocobase.url, found, [], whose_application)
            same = _credentials(olds) == _credentials(news)
            return _push(nocobase, news, found, (olds.get("updated_at") or "") if same else "")

    def _was_taken_over(self, found: Reading, news: Properties) -> bool:
        """Whether another stack serves this NocoBase by now: two that put it right in turns would both break it.

        What a person typed in is drift, and is put right.
        """
        return found.client_id not in ("", news["client_id"], news.get("take_over")) and is_another_stacks(
            found.client_id, news["client_id"]
        )

    def read(self, id_: str, props: Properties) -> ReadResult:
        """What NocoBase holds now; an empty id if the row is gone, which the engine takes for a deleted resource."""
        try:
            with self._nocobase(props) as nocobase:
                found = push.read(nocobase, _mapping(props))
                if found.layout.row is None:
                    return ReadResult("", {})
                link = push.sign_in(nocobase, _mapping(props))
        except NocoBaseError as error:
            if not props.get("several"):
                raise
            print(f"{error} What the last run left there is taken for what is there.")
            return ReadResult(id_, props, _inputs(props))
        held = {**props, "client_id": found.client_id, **_proof(link), "row_id": found.row_id}
        if found.client_secret is not None:
            held["client_secret"] = found.client_secret
        elif found.updated_at != (props.get("updated_at") or ""):
            # The secret is hidden, so that this is all that can be told; the next `up` writes it again.
            held["updated_at"] = f"changed by somebody else at {found.updated_at}"
        held = _shown(held)
        return ReadResult(id_, held, _inputs(held))

    def delete(self, _id: str, _props: Properties) -> None:
        """Empty the two values, if they are this stack's and no other push of it serves the same place by now."""
        if _place(_props) in self._served:
            print(f"NocoBase at {_props['nocobase_url']} is served under another name now; nothing was emptied.")
            return
        with self._nocobase(_props) as nocobase:
            if not push.clear(nocobase, _mapping(_props), _credentials(_props)):
                print(f"NocoBase at {nocobase.url} holds other credentials by now; they were left as they are.")

    @contextmanager
    def _nocobase(self, props: Mapping[str, Any], patient: bool = True) -> Iterator[NocoBaseClient]:
        names = props.get("logins") or [""]
        login = first_login(names, self._keys)
        if login is None:
            raise SettingsError([missing_login(names[0])])
        # The program only declares this resource; every `pulumi up` would pay for the import of httpx in it, too.
        from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415

        url, app = props["nocobase_url"], props.get("nocobase_app")
        patience = self._patience.setdefault(url, Patience(self._patience_seconds))
        with NocoBaseClient(url, app, login, patience if patient else None) as nocobase:
            secrets = (login.api_key, login.password, nocobase.token, str(props["client_secret"] or ""))
            _SECRETS.update(filter(None, secrets))
            with push.kept_secret(lambda: (*_SECRETS, nocobase.token)):
                yield nocobase


class NocoBaseProvider(pulumi.ProviderResource):
    """The process in which MailSettings runs.

    It inherits the environment; of the stack's configuration it is given the API keys, which stay secret, and how long
    to wait for NocoBase.
    """

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        config, project = pulumi.Config(), pulumi.get_project()
        given = {key: config.get_secret(key) for key in (API_KEY, API_KEYS) if config.get(key)}
        properties = {
            f"{project}:{key}": value for key, value in {**given, PATIENCE: config.get(PATIENCE)}.items() if value
        }
        super().__init__("pulumi-python", name, properties, opts)


class DeployedApplication(Protocol):
    """What the push takes from the application in Entra ID; see `program.application.MailApplication`."""

    tenant_id: pulumi.Output[str]
    client_id: pulumi.Output[str]
    client_secret: pulumi.Output[str]


class MailSettings(Resource, module="nocobase", name=TYPE_NAME):
    """NocoBase's email settings hold the client id and the client secret, and were proved to be in use.

    proved_redirect_uri: where NocoBase sends users back to, by its own sign-in link. problem: why the push failed, if
    it is one of several; see `require_all`.
    """

    proved_client_id: pulumi.Output[str]
    proved_redirect_uri: pulumi.Output[str]
    problem: pulumi.Output[str | None]

    def __init__(
        self,
        installation: Installation,
        application: DeployedApplication,
        secrets: SecretPlan,
        provider: NocoBaseProvider,
        several: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
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
            "logins": list(installation.logins),
            "several": several,
            "row_id": None,
            "updated_at": None,
            "proved_client_id": None,
            "proved_redirect_uri": None,
            "problem": None,
        }
        opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(provider=provider))
        super().__init__(MailSettingsProvider(), installation.resource_name, properties, opts)


def require_all(pushes: Sequence[MailSettings]) -> None:
    """Fail the run if one of several pushes failed; the engine then removes nothing of what it would have."""

    def require(problems: Sequence[str | None]) -> None:
        failed = [problem for problem in problems if problem]
        if failed:
            served = f"{len(pushes) - len(failed)} of {len(pushes)} NocoBase installations are served; run it again."
            raise pulumi.RunError("\n".join([*failed, served]))

    if len(pushes) > 1 and not pulumi.runtime.is_dry_run():
        pulumi.Output.all(*(push.problem for push in pushes)).apply(require)


_SECRETS: set[str] = set()
"""What this process must not print, whatever a server echoes."""


def _mapping(properties: Mapping[str, Any]) -> NocoBaseMapping:
    return NocoBaseMapping.of_record(properties.get("mapping"))


def _place(properties: Mapping[str, Any]) -> Place:
    return properties["nocobase_url"], properties.get("nocobase_app")


def _credentials(properties: Mapping[str, Any]) -> Credentials:
    return Credentials(properties["client_id"], properties["client_secret"])


def _push(nocobase: NocoBaseClient, properties: Properties, found: Reading, written_at: str = "") -> Properties:
    """Push and return the outputs: what was declared, and what was proved."""
    credentials, uris = _credentials(properties), properties["redirect_uris"]
    found, link = push.write_and_verify(nocobase, _mapping(properties), credentials, uris, found, written_at)
    if found.also_changed:
        # Only the two values were sent: somebody else's doing, or the email manager's own.
        others = hide(", ".join(found.also_changed), _SECRETS)
        print(f"In the email settings of NocoBase at {nocobase.url} more changed at the same moment: {others}.")
    return _shown({**properties, "row_id": found.row_id, "updated_at": found.updated_at, **_proof(link)})


def _inputs(held: Properties) -> Properties:
    return {key: held.get(key) for key in (*DECLARED, *HOW, *NOT_COMPARED)}


def _shown(held: Properties) -> Properties:
    """Outputs without secrets where they would be in the clear: somebody may have put them into other fields."""
    clear = ("client_id", "row_id", "updated_at", "proved_client_id", "proved_redirect_uri")
    return held | {key: hide(held[key], _SECRETS) for key in clear if isinstance(held.get(key), str)}


def _wait_until_accepted(properties: Properties) -> None:
    """Have the token endpoint accept the secret before NocoBase is given it."""
    # Needed only when there is a new secret; every `pulumi up` would pay for the import of azure-identity.
    from provisioning.entra.token_check import wait_until_accepted  # noqa: PLC0415

    wait_until_accepted(properties["tenant_id"], properties["client_id"], properties["client_secret"])


def _proof(link: SignIn | None) -> Properties:
    return {
        "proved_client_id": link.client_id if link else None,
        "proved_redirect_uri": link.redirect_uri if link else None,
    }


class _Sentences:
    """Takes the place of the module `traceback` in the engine's provider process."""

    @staticmethod
    def format_exc() -> str:
        """The error's own words where it is meant for a person, else the traceback; never a secret."""
        error = sys.exception() if sys.version_info >= (3, 12) else sys.exc_info()[1]
        return hide(str(error) if isinstance(error, ProvisioningError) else traceback.format_exc(), _SECRETS)


def _report_errors_as_sentences() -> None:
    """Have this process report ProvisioningErrors in their own words.

    pulumi.dynamic's server reports every exception by `traceback.format_exc()` and offers no other way.
    """
    server = sys.modules["__main__"]
    if getattr(server, "traceback", None) is traceback:
        server.traceback = _Sentences  # type: ignore[attr-defined]
