"""NocoBase: is it reached, has it the email manager, may the API key change its settings, and what do they hold?

The checks first, as pure functions; below them, the questions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from provisioning.doctor.runner import Finding, failed, ok, skipped, warning
from provisioning.doctor.sign_in_link import check_link
from provisioning.doctor.stack import UNREADABLE
from provisioning.entra.account import read_claims
from provisioning.errors import CredentialsInFile, NocoBaseError
from provisioning.foreign import quoted
from provisioning.nocobase import push
from provisioning.nocobase.installation import MAIN, SET_API_KEY
from provisioning.nocobase.layout import COLLECTION
from provisioning.nocobase.login import NocoBaseLogin, missing_login, stored_logins
from provisioning.nocobase.sign_in_link import SignIn
from provisioning.nocobase.version import Target, not_by_rest, numbered_version, target_of
from provisioning.program.last_state import Deployed, Push
from provisioning.status import read
from provisioning.status.differences import NOT_RESTARTED, RESTART, row_differences
from provisioning.status.read import HeldRow

if TYPE_CHECKING:
    from provisioning.program.settings import Settings

TRIED_MAJOR = 2
"""The major version of NocoBase that this program was tried with."""

PLUGIN = "@nocobase/plugin-email-manager"

NEW_KEY = f"Make a new API key (NocoBase: Settings → API keys) and {SET_API_KEY}"

KEY_ENDS_SOON_DAYS = 30


def check_version(url: str, app: str | None, said: object) -> Finding:
    """said: the version that NocoBase names. Raises CredentialsInFile for one that is not served by its API."""
    version = numbered_version(said)
    if version is None:
        return failed(f"{url} answers, but names no version", "Is nocobaseUrl the address of a NocoBase? Correct it.")
    if target_of(version) is not Target.REST:
        raise not_by_rest(url, version, "app:getInfo names it")
    if int(version.partition(".")[0]) < TRIED_MAJOR:
        said = f"{url}, version {version}; this program was tried with version {TRIED_MAJOR}"
        return warning(said, "Update NocoBase, or look closely whether `pulumi up` proves what it wrote.")
    return ok(f"{url}, version {version}")


def check_plugins(packages: Iterable[str]) -> Finding:
    """packages: the package names of the plugins that are enabled."""
    if PLUGIN in packages:
        return ok("enabled")
    return failed("the email manager is not enabled", "NocoBase: plugin manager → Email manager → enable it.")


def check_key_life(api_key: str, now: datetime) -> Finding:
    """How long an API key is valid, by its own claims."""
    end = read_claims(api_key).get("exp")
    if not isinstance(end, (int, float)):
        return ok("does not say when it ends")
    try:
        ends = datetime.fromtimestamp(end, UTC)
    except (OverflowError, ValueError, OSError):
        return ok("never ends")
    days = (ends - now).days
    if ends <= now:
        return failed(f"the API key ended on {ends:%Y-%m-%d}", NEW_KEY)
    if days < KEY_ENDS_SOON_DAYS:
        said = f"the API key ends on {ends:%Y-%m-%d}, in {days} days; `pulumi up` fails from then on"
        return warning(said, NEW_KEY)
    return ok(f"valid until {ends:%Y-%m-%d}" if days < 100 * 365 else "never ends")


def check_login_life(login: NocoBaseLogin, now: datetime) -> Finding:
    """How long the login is valid."""
    return check_key_life(login.api_key, now) if login.api_key else ok("account and password have no end")


def check_role(role: Mapping[str, Any]) -> Finding:
    """Whether a role may change the email settings. role: what NocoBase's `roles:check` answers."""
    name = quoted(role["role"]) if role.get("role") else "without a name"
    snippets = {str(item) for item in role.get("snippets") or []}
    strategy = role.get("strategy") or {}
    if (
        role.get("allowAll")
        or f"{COLLECTION}:update" in (role.get("actions") or {})
        or "update" in (strategy.get("actions") or [])
        or ("pm.*" in snippets and "!pm.*" not in snippets)
    ):
        return ok(f"the role {name} may read and change the email settings")
    said = f"the role {name} may read the email settings; whether it may change them cannot be told"
    return warning(said, f"If `pulumi up` is refused: give it the right to change {COLLECTION}.")


def check_row(state: Deployed, push: Push, row: HeldRow) -> Finding:
    """Whether NocoBase's email settings hold what it was given."""
    wrong = row_differences(state, push, row)
    if wrong:
        return failed(f"{push.target}: {'; '.join(wrong)}", RESTART if NOT_RESTARTED in wrong else "pulumi up")
    hidden = " (which it hides)" if row.client_secret is None else ""
    return ok(f"{push.target} holds this client ID and the secret of slot {push.slot}{hidden}")


def ask_server(settings: Settings) -> Finding:
    """Is it reached, and which version?"""
    if settings.nocobase_config_file:
        return _ask_server_3(settings)
    found = _public(settings, "app:getInfo")
    version = found.get("version") if isinstance(found, dict) else None
    return check_version(settings.nocobase_url, settings.nocobase_app, version)


def ask_plugins(settings: Settings) -> Finding:
    """Is the email manager enabled?"""
    if settings.nocobase_config_file:
        return ok("mail is part of NocoBase 3; which providers it offers is asked with the login")
    found = _public(settings, "pm:listEnabled")
    listed = found if isinstance(found, list) else []
    return check_plugins(str(item.get("packageName")) for item in listed if isinstance(item, dict))


def ask_login(configuration: Mapping[str, str], settings: Settings) -> Finding:
    """Does NocoBase take the login, and do the others have one? configuration: the stack's, secrets in the clear."""
    from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415 - imports httpx

    stored = stored_logins(configuration)
    logins = {at.name: stored.first(at.logins) for at in settings.installations}
    missing = [missing_login(name) for name, found in logins.items() if found is None]
    login = logins[MAIN]
    if missing or login is None:
        return failed(" ".join(at.why for at in missing), "\n".join(at.remedy for at in missing))
    if settings.nocobase_config_file:
        from provisioning.nocobase3 import look  # noqa: PLC0415 - as above

        look.providers(settings.nocobase_url, login)
        return ok("by an API key", login)
    with NocoBaseClient(settings.nocobase_url, settings.nocobase_app, login) as nocobase:
        nocobase.get("auth:check")
    return ok("by an API key" if login.api_key else f"as {login.account}", login)


def ask_role(login: NocoBaseLogin, settings: Settings) -> Finding:
    """May the login change the email settings?"""
    if settings.nocobase_config_file:
        from provisioning.nocobase3 import look  # noqa: PLC0415 - as below

        look.held(settings.nocobase_config_file, settings.nocobase_mail_provider)
        said = f"its configuration {settings.nocobase_config_file} can be read and edited"
        weak = look.weaknesses(settings.nocobase_config_file)
        return warning(f"{said}, but {', and '.join(weak)}", "\n".join(weak.values())) if weak else ok(said)
    from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415 - imports httpx

    with NocoBaseClient(settings.nocobase_url, settings.nocobase_app, login) as nocobase:
        push.read(nocobase, settings.nocobase_mapping.mapping, certain=True)
        found: Any = None
        with suppress(NocoBaseError):  # not every version may tell
            found = nocobase.get("roles:check")
    return check_role(found if isinstance(found, dict) else {})


def ask_before_push(login: NocoBaseLogin, settings: Settings, own: str | None) -> Finding:
    """Do the email settings hold what a first push must not overwrite?

    own: the client ID of the stack's application, None if it has none yet. Raises ForeignCredentials if they do.
    """
    held: push.HoldsClientId
    if settings.nocobase_config_file:
        from provisioning.nocobase3 import look  # noqa: PLC0415 - as below

        held = look.held(settings.nocobase_config_file, settings.nocobase_mail_provider)
    else:
        from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415 - imports httpx

        with NocoBaseClient(settings.nocobase_url, settings.nocobase_app, login) as nocobase:
            held = push.read(nocobase, settings.nocobase_mapping.mapping)
    push.reject_foreign(settings.nocobase_url, held, [own, settings.nocobase_take_over])
    if not held.client_id:
        return ok(f"{settings.nocobase_url} holds no credentials yet")
    whose = "this stack's client ID" if held.client_id == own else "the client ID that nocobaseTakeOver names"
    return ok(f"{settings.nocobase_url} holds {whose}")


def ask_row(state: Deployed, push: Push, login: NocoBaseLogin | None) -> Finding:
    """What do the email settings hold?"""
    if login is None:
        return skipped(NO_LOGIN)
    if push.client_secret is None:
        return skipped(UNREADABLE)
    return check_row(state, push, read.read_row(push, login))


def ask_link(push: Push, login: NocoBaseLogin | None) -> Finding:
    """Which sign-in link does it build?"""
    if login is None:
        return skipped(NO_LOGIN)
    if push.restart_due:
        return skipped(f"{push.target} has to be restarted first: its link is that of its earlier configuration")
    return check_link(push, read.read_link(push, login) or SignIn(None, None))


NO_LOGIN = "there is no login (see 'login to NocoBase')"


def _ask_server_3(settings: Settings) -> Finding:
    """Does a NocoBase 3 answer at the address? It answers nobody without a login, in a form of its own."""
    try:
        found = _public(settings, "mail/providers")
    except CredentialsInFile:
        return ok(f"{settings.nocobase_url}, version 3")
    return failed(
        f"{settings.nocobase_url} answers, but not as a NocoBase 3" if found is None else "it answers anybody",
        "Is nocobaseUrl the address of a NocoBase 3? For a NocoBase 2: pulumi config rm nocobaseConfigFile",
    )


def _public(settings: Settings, action: str) -> Any:
    """What `action` answers to anybody. Raises NocoBaseError."""
    from provisioning.nocobase.client import NocoBaseClient  # noqa: PLC0415 - imports httpx

    login = NocoBaseLogin(headers=settings.nocobase_headers)
    with NocoBaseClient(settings.nocobase_url, settings.nocobase_app, login) as nocobase:
        return nocobase.get_public(action)
