"""Starts, stops and looks into the sandbox's NocoBase, which listens on 127.0.0.1 only.

Touches `place.nocobase` (NocoBase's storage), `place.home / "nocobase.json"` (keys, readable by the owner only) and the
process "nocobase". Each sandbox has keys of its own, made at its first start.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from sandbox import private, processes
from sandbox.errors import SandboxError
from sandbox.nocobase.packages import find_node
from sandbox.place import Place

NAME = "nocobase"
"""The background process's name, and its log's."""

ACCOUNT = "sandbox"
"""The root user's name, for people who sign in with account and password."""

EMAIL_MANAGER = "@nocobase/plugin-email-manager"

PATIENCE = 120
"""Seconds that a start may take; measured: 4 to 8 for the first, 2 to 4 for a later one, on two cores."""


@dataclass(frozen=True)
class _Kept:
    """What one sandbox's NocoBase keeps between its starts."""

    app_key: str = field(repr=False)
    password: str = field(repr=False)
    api_key: str = field(default="", repr=False)
    port: int = 0
    public_path: str = "/"
    database: Mapping[str, str] = field(default_factory=dict, repr=False)
    installed: bool = False


def start(place: Place, port: int, public_path: str = "/", database: Mapping[str, str] | None = None) -> str:
    """Start NocoBase, or leave it running if it is as asked, and return its URL when it answers.

    The first start makes keys and database; a first start that was interrupted is begun anew. `database` holds the
    variables (DB_…) of one that is not SQLite; the first start settles that.
    Raises SandboxError if the packages are not installed, the port is taken, or NocoBase does not come up.
    """
    kept = _read(place)
    if kept is not None and not kept.database and not _database(place).is_file():
        kept = replace(kept, installed=False)
    public_path = f"/{public_path.strip('/')}/".replace("//", "/")
    as_asked = kept is not None and (kept.port, kept.public_path) == (port, public_path)
    if kept is not None and kept.installed and as_asked and processes.running(place, NAME) is not None:
        _wait(place, kept)
        return url(place)
    if not (place.nocobase_packages / "installed.json").is_file():
        raise SandboxError(
            "NocoBase's packages are not installed in this clone.", "Run `make up`, which installs them."
        )
    ours = kept is not None and kept.port == port and processes.running(place, NAME) is not None
    if not ours:
        _require_free(port)  # before what runs is stopped
    processes.stop(place, NAME)
    _require_free(port)
    if kept is None or not kept.installed:
        shutil.rmtree(place.nocobase, ignore_errors=True)
        app_key, password = secrets.token_hex(32), secrets.token_urlsafe(18)
        kept = _Kept(app_key, password, database=dict(database or {}))
    kept = replace(kept, port=port, public_path=public_path)
    _write(place, kept)
    place.nocobase.mkdir(parents=True, exist_ok=True)
    command = [str(find_node().node), "launch.js", "start", *([] if kept.installed else ["--quickstart"])]
    processes.start(place, NAME, command, _environment(place, kept), place.nocobase_packages)
    _wait(place, kept)
    if not kept.installed:
        kept = replace(kept, api_key=_create_api_key(place, kept), installed=True)
        _write(place, kept)
    return url(place)


def _require_free(port: int) -> None:
    if not processes.port_is_free(port):
        raise SandboxError(
            f"Port {port}, which the sandbox's NocoBase is to listen on, is in use by another program.",
            f"End that program (`lsof -i :{port}` names it), or choose another port: "
            f"`make up NOCOBASE_PORT={processes.free_port_after(port)}`.",
        )


def stop(place: Place) -> bool:
    """Stop NocoBase; what it stores is kept. False if it was not running."""
    return processes.stop(place, NAME)


def url(place: Place) -> str:
    """Where people and the product find this sandbox's NocoBase, without a slash at the end."""
    kept = _started(place)
    return f"http://127.0.0.1:{kept.port}{kept.public_path.rstrip('/')}"


def api_key(place: Place) -> str:
    """An API key with the role `root`.

    It was made by apiKeys:create at the first start, as an administrator makes one: so NocoBase lists it among its keys
    and can revoke it. A token signed here with APP_KEY would be neither.
    """
    return _started(place).api_key


def password(place: Place) -> str:
    """The root user's password; its name is ACCOUNT."""
    return _started(place).password


def mail_settings_row(place: Place, provider: str = "microsoft", app: str | None = None) -> dict[str, Any] | None:
    """The provider's row of mailSettings as the database holds it, the secret included; None if there is none.

    `app` names a sub-application; without it, the main application's row is meant.
    """
    database = place.nocobase / f"{app}.sqlite" if app else _database(place)
    if not database.is_file():
        return None
    connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
    try:
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT * FROM mailSettings WHERE type = ?", (provider,)).fetchone()
    finally:
        connection.close()
    if row is None:
        return None
    return {key: json.loads(row[key]) if key == "options" and row[key] else row[key] for key in row.keys()}  # noqa: SIM118


def _environment(place: Place, kept: _Kept) -> Mapping[str, str]:
    """What the launcher and NocoBase read. Nothing of the caller's environment but what every program needs."""
    inherited = {name: os.environ[name] for name in ("HOME", "LANG", "PATH", "TMPDIR") if name in os.environ}
    return {
        **inherited,
        **kept.database,
        "APPEND_PRESET_BUILT_IN_PLUGINS": EMAIL_MANAGER,
        "APP_HOST": "127.0.0.1",
        "APP_KEY": kept.app_key,
        "APP_PORT": str(kept.port),
        "APP_PUBLIC_PATH": kept.public_path,
        "INIT_APP_LANG": "en-US",
        "INIT_ROOT_EMAIL": f"{ACCOUNT}@example.com",
        "INIT_ROOT_NICKNAME": "Sandbox",
        "INIT_ROOT_PASSWORD": kept.password,
        "INIT_ROOT_USERNAME": ACCOUNT,
        "SOCKET_PATH": str(_socket(place)),
        "STORAGE_PATH": str(place.nocobase),
    }


def _socket(place: Place) -> Path:
    """NocoBase's command socket. Such a path may have about 100 characters, and access to it controls NocoBase."""
    near = place.nocobase / "gateway.sock"
    return near if len(str(near)) < 100 else Path(tempfile.mkdtemp(prefix="nocobase-")) / "gateway.sock"


def _wait(place: Place, kept: _Kept) -> None:
    health = f"http://127.0.0.1:{kept.port}{kept.public_path}api/__health_check"

    def ready() -> bool:
        try:
            answer = client.get(health)
        except httpx.TransportError:
            return False
        if "APP_NOT_INSTALLED_ERROR" in answer.text:
            raise SandboxError(
                f"NocoBase finds nothing of its own in its database {_database(place)}.",
                f"Run `make down`, remove {place.nocobase}, then run `make up`: that makes a new one.",
            )
        return answer.status_code == httpx.codes.OK

    with httpx.Client(trust_env=False, timeout=5) as client:
        processes.wait_until_ready(place, NAME, ready, PATIENCE)


def _create_api_key(place: Place, kept: _Kept) -> str:
    with httpx.Client(base_url=f"{url(place)}/api", trust_env=False, timeout=30) as client:
        signed_in = client.post("/auth:signIn", json={"account": ACCOUNT, "password": kept.password})
        token = signed_in.raise_for_status().json()["data"]["token"]
        created = client.post(
            "/apiKeys:create",
            headers={"Authorization": f"Bearer {token}"},
            json={"name": "sandbox", "role": {"name": "root"}, "expiresIn": "never"},
        )
        return str(created.raise_for_status().json()["data"]["token"])


def _database(place: Place) -> Path:
    return place.nocobase / "nocobase.sqlite"


def _file(place: Place) -> Path:
    return place.home / "nocobase.json"


def _read(place: Place) -> _Kept | None:
    try:
        found = json.loads(_file(place).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    # Once it named the layout, too.
    return _Kept(**{name: value for name, value in found.items() if name != "layout"})


def _started(place: Place) -> _Kept:
    kept = _read(place)
    if kept is None:
        raise SandboxError("This sandbox's NocoBase was never started.", "Run `make up`.")
    return kept


def _write(place: Place, kept: _Kept) -> None:
    private.folder(place.home)
    fresh = _file(place).with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(asdict(kept), out)
    fresh.replace(_file(place))
