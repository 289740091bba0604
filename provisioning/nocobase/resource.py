"""The push as a Pulumi resource, the last node of the graph: preview shows it, refresh sees drift, destroy clears it.

A dynamic resource: the engine runs this module in a process of its own, also when the program itself does not run
(`destroy`). The login to NocoBase comes from that process's environment, which never enters the state, or from the
stack's secret configuration, which stays encrypted there.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import (
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from provisioning.entra.rotation import SecretPlan, rfc3339
from provisioning.errors import NocoBaseError, ProvisioningError, SettingsError
from provisioning.nocobase import mail_settings
from provisioning.nocobase.login import API_KEY, NocoBaseLogin, load_login, missing_login
from provisioning.nocobase.mail_settings import Credentials, SignIn

if TYPE_CHECKING:
    from provisioning.entra.application import MailApplication
    from provisioning.nocobase.client import NocoBaseClient
    from provisioning.settings import Settings

TYPE_NAME = "MailSettings"

DECLARED = ("nocobase_url", "nocobase_app", "client_id", "client_secret", "redirect_uris", "slot", "since")
"""The properties that the program declares; a change of one of them is pushed."""

Properties = dict[str, Any]


class MailSettingsProvider(ResourceProvider):
    """Creates, compares, reads and clears the credentials in NocoBase, each time through its REST API."""

    serialize_as_secret_always = False
    """The serialized provider is only the name of this class."""

    _login: NocoBaseLogin | None = None

    def configure(self, req: ConfigureRequest) -> None:
        """Take the login from the environment, or from the stack's secret configuration."""
        _report_errors_as_sentences()
        self._login = load_login(req.config.get(API_KEY))

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> DiffResult:
        """What differs from the declaration: the declaration itself, or what NocoBase holds by now.

        NocoBase is asked in either case, so that a preview tells that it cannot be reached before anything is changed.
        """
        changed = [key for key in DECLARED if _olds.get(key) != _news.get(key)]
        with self._nocobase(_news) as nocobase:
            row = mail_settings.read(nocobase)
            proved = not changed and row is not None and _still_holds(row, _olds)
            if proved:
                found = mail_settings.sign_in(nocobase)
                proved = mail_settings.disproof(found, _news["client_id"], _news["redirect_uris"]) is None
        return DiffResult(changes=not proved)

    def create(self, props: Properties) -> CreateResult:
        """Push into a NocoBase that this stack has not pushed into before; another stack's credentials are refused."""
        with self._nocobase(props) as nocobase:
            row = mail_settings.read(nocobase)
            mail_settings.refuse_foreign(nocobase.url, row, [props["client_id"], props.get("take_over")])
            _wait_until_accepted(props)
            try:
                outs = _push(nocobase, props, row)
            except NocoBaseError:
                # A failed create is in no state, so that no `destroy` would ever empty what it wrote.
                if row is None or not row.client_id:
                    with suppress(NocoBaseError):
                        mail_settings.clear(nocobase, _credentials(props))
                raise
        return CreateResult(f"{props['nocobase_url']}#{props.get('nocobase_app') or 'main'}", outs)

    def update(self, _id: str, _olds: Properties, _news: Properties) -> UpdateResult:
        """Push what was declared anew, or repair what somebody changed in NocoBase.

        A changed address is no replacement, which would empty the fields at the old one: mostly that is the same
        NocoBase.
        """
        if (_olds["client_id"], _olds["client_secret"]) != (_news["client_id"], _news["client_secret"]):
            _wait_until_accepted(_news)
        with self._nocobase(_news) as nocobase:
            row = mail_settings.read(nocobase)
            if any(_olds.get(key) != _news.get(key) for key in ("nocobase_url", "nocobase_app")):
                own = [_olds["client_id"], _news["client_id"], _news.get("take_over")]
                mail_settings.refuse_foreign(nocobase.url, row, own)
            return UpdateResult(_push(nocobase, _news, row))

    def read(self, id_: str, props: Properties) -> ReadResult:
        """What NocoBase holds now; an empty id if the row is gone, which the engine takes for a deleted resource."""
        with self._nocobase(props) as nocobase:
            row = mail_settings.read(nocobase)
            if row is None:
                return ReadResult("", {})
            found = mail_settings.sign_in(nocobase)
        secret = props["client_secret"] if row.client_secret is None else row.client_secret
        held = {**props, "client_id": row.client_id, "client_secret": secret}
        inputs = {key: held.get(key) for key in (*DECLARED, "tenant_id", "take_over")}
        return ReadResult(id_, {**held, "row_id": row.id, **_proof(found)}, inputs)

    def delete(self, _id: str, _props: Properties) -> None:
        """Empty the two fields, if they still hold what this stack wrote."""
        with self._nocobase(_props) as nocobase:
            if not mail_settings.clear(nocobase, _credentials(_props)):
                print(f"NocoBase at {nocobase.url} holds other credentials by now; they were left as they are.")

    def _nocobase(self, props: Mapping[str, Any]) -> NocoBaseClient:
        if self._login is None:
            raise SettingsError([missing_login()])
        # The program only declares this resource; every `pulumi up` would pay for the import of httpx in it, too.
        from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415

        return NocoBaseClient(props["nocobase_url"], props.get("nocobase_app"), self._login)


class NocoBaseProvider(pulumi.ProviderResource):
    """The process in which MailSettings runs.

    It inherits the environment; of the stack's configuration it is given the API key only, and that stays secret.
    """

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        api_key = pulumi.Config().get_secret(API_KEY)
        properties = {f"{pulumi.get_project()}:{API_KEY}": api_key} if api_key else {}
        super().__init__("pulumi-python", name, properties, opts)


class MailSettings(Resource, module="nocobase", name=TYPE_NAME):
    """NocoBase's email settings hold the client id and the client secret, and were proved to be in use.

    proved_redirect_uri: where NocoBase sends users back to, by its own sign-in link.
    """

    proved_client_id: pulumi.Output[str]
    proved_redirect_uri: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        settings: Settings,
        application: MailApplication,
        secrets: SecretPlan,
        provider: NocoBaseProvider,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties = {
            "nocobase_url": settings.nocobase_url,
            "nocobase_app": settings.nocobase_app,
            "tenant_id": application.tenant_id,
            "client_id": application.client_id,
            "client_secret": application.client_secret,
            "slot": secrets.active.value,
            "since": rfc3339(secrets.since),
            "redirect_uris": list(settings.redirect_uris),
            "take_over": settings.nocobase_take_over,
            "row_id": None,
            "updated_at": None,
            "proved_client_id": None,
            "proved_redirect_uri": None,
        }
        opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(provider=provider))
        super().__init__(MailSettingsProvider(), resource_name, properties, opts)


def _credentials(properties: Mapping[str, Any]) -> Credentials:
    return Credentials(properties["client_id"], properties["client_secret"])


def _push(nocobase: NocoBaseClient, properties: Properties, row: mail_settings.Row | None) -> Properties:
    """Push and return the outputs: what was declared, and what was proved."""
    row, found = mail_settings.push(nocobase, _credentials(properties), properties["redirect_uris"], row)
    return {**properties, "row_id": row.id, "updated_at": row.updated_at, **_proof(found)}


def _still_holds(row: mail_settings.Row, pushed: Properties) -> bool:
    """Whether the row holds what was pushed; where the secret is hidden, whether nobody has changed the row since.

    So a NocoBase that was restored from a backup, with an older secret in it, is given the present one again.
    """
    unchanged = row.client_secret is not None or row.updated_at == pushed.get("updated_at")
    return unchanged and row.holds(_credentials(pushed))


def _wait_until_accepted(properties: Properties) -> None:
    """Have the token endpoint accept the secret before NocoBase is given it."""
    # Needed only when there is a new secret; every `pulumi up` would pay for the import of azure-identity.
    from provisioning.entra.probe import wait_until_accepted  # noqa: PLC0415

    wait_until_accepted(properties["tenant_id"], properties["client_id"], properties["client_secret"])


def _proof(found: SignIn) -> Properties:
    return {"proved_client_id": found.client_id, "proved_redirect_uri": found.redirect_uri}


class _Sentences:
    """Takes the place of the module `traceback` in the engine's provider process."""

    @staticmethod
    def format_exc() -> str:
        """The error's own words where it is meant for a person, else the traceback."""
        error = sys.exception() if sys.version_info >= (3, 12) else sys.exc_info()[1]
        return str(error) if isinstance(error, ProvisioningError) else traceback.format_exc()


def _report_errors_as_sentences() -> None:
    """Have this process report ProvisioningErrors in their own words.

    pulumi.dynamic's server reports every exception by `traceback.format_exc()` and offers no other way.
    """
    server = sys.modules["__main__"]
    if getattr(server, "traceback", None) is traceback:
        server.traceback = _Sentences  # type: ignore[attr-defined]
