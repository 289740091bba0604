"""A PostgreSQL for one NocoBase: a cluster of its own in a temporary folder, on a free port of loopback."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sandbox import processes
from sandbox.errors import SandboxError

USER = "nocobase"
DATABASE = "postgres"
"""The database that each cluster has from the start."""

PATIENCE = 30
"""Seconds that making and starting a cluster may take; measured: 2."""


def find_programs() -> Path:
    """The folder with `initdb` and `postgres`: on PATH, else Debian's newest. Raises SandboxError if there is none."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    if not installed:
        raise SandboxError("PostgreSQL is not installed.", "Install it (Debian, Ubuntu: `apt install postgresql`).")
    return installed[-1].parent


class PostgreSQL:
    """The cluster; use it in a `with` statement. Raises SandboxError if it cannot be had.

    PostgreSQL refuses to run as root: under root it runs as the user `postgres`, or `nobody`.
    """

    def __init__(self) -> None:
        self._programs = find_programs()
        self._folder = Path(tempfile.mkdtemp(prefix="nocobase-postgres-"))
        self._port = processes.free_port()
        self._password = secrets.token_urlsafe(18)
        self._owner = _unprivileged() if os.geteuid() == 0 else None
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            # "Fast shutdown": connections are ended.
            self._server.send_signal(signal.SIGINT)
            self._server.wait()
        shutil.rmtree(self._folder)

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables by which NocoBase finds it."""
        return {
            "DB_DIALECT": "postgres",
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(self._port),
            "DB_DATABASE": DATABASE,
            "DB_USER": USER,
            "DB_PASSWORD": self._password,
        }

    def mail_settings_row(self, provider: str = "microsoft") -> dict[str, Any] | None:
        """The provider's row of mailSettings as the database holds it, the secret included; None if there is none."""
        found = self._ask(f"SELECT row_to_json(m) FROM \"mailSettings\" m WHERE type = '{provider}'")
        row: dict[str, Any] | None = json.loads(found) if found else None
        return row

    def _start(self) -> None:
        word = self._folder / "password"
        word.touch(mode=0o600)
        word.write_text(self._password, encoding="utf-8")
        if self._owner:
            for path in (self._folder, word):
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
        data = self._folder / "data"
        options = ("-U", USER, "--pwfile", word, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync")
        made = self._program("initdb", "-D", data, *options)
        _, said = made.communicate()
        if made.returncode != 0:
            raise SandboxError(f"PostgreSQL made no cluster: {said.decode()[-300:]}", "See what it says.")
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "logging_collector=off")
        flags = [part for setting in settings for part in ("-c", setting)]
        self._server = self._program("postgres", "-D", data, "-p", str(self._port), *flags, quiet=True)
        deadline = time.monotonic() + PATIENCE
        while processes.port_is_free(self._port) or self._ask("SELECT 1") != "1":
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise SandboxError("PostgreSQL does not come up.", "Start it by hand to see why.")
            time.sleep(0.05)

    def _program(self, name: str, *arguments: str | Path, quiet: bool = False) -> subprocess.Popen[bytes]:
        output = subprocess.DEVNULL if quiet else subprocess.PIPE
        return subprocess.Popen(
            [self._programs / name, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            cwd=self._folder,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            user=self._owner.pw_uid if self._owner else None,
            group=self._owner.pw_gid if self._owner else None,
            extra_groups=[] if self._owner else None,
            start_new_session=True,
        )

    def _ask(self, question: str) -> str:
        address = ("-h", "127.0.0.1", "-p", str(self._port), "-U", USER, "-d", DATABASE)
        answered = subprocess.run(
            [self._programs / "psql", *address, "-AtXc", question],
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env={"PATH": os.defpath, "PGPASSWORD": self._password, "LC_ALL": "C.UTF-8"},
        )
        return answered.stdout.strip()


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise SandboxError("PostgreSQL refuses to run as root, and there is no other user.", "Run this as another user.")
