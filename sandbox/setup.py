"""What has to be installed and started for the sandbox, as steps; and the record of what was, for later commands.

Runs before the virtualenv is complete: what needs more than the setup's own packages is imported inside the steps.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sandbox import private, processes
from sandbox.dev_stack import settings_file
from sandbox.engine import build, find
from sandbox.errors import SandboxError
from sandbox.place import PROJECT, Place
from sandbox.steps import Report, Step

ENTRA = "entra"
"""The background process that simulates Entra ID and Graph."""

REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")


@dataclass(frozen=True)
class Record:
    """What a sandbox runs with, kept in its home: the engine, the azuread plugin and the ports.

    azuread: where the azuread plugin comes from, in words. official_azuread: whether it is the official one.
    """

    cli: str
    engine: str
    azuread: str
    official_azuread: bool
    entra_port: int


def load_record(place: Place) -> Record:
    """The record of the sandbox in `place`. Raises SandboxError if it was never set up."""
    try:
        return Record(**json.loads(_record_file(place).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise SandboxError("There is no sandbox in this clone yet.", "Run `make up`.") from None


def nocobase_url(place: Place) -> str:
    """Where the dev stack's configuration expects NocoBase; the sandbox's NocoBase listens there.

    Raises SandboxError if that is not a port of this machine.
    """
    import yaml

    file = settings_file(place.project)
    configured = (yaml.safe_load(file.read_text(encoding="utf-8")).get("config") or {}).get(
        "nocobase-outlook:nocobaseUrl", ""
    )
    parts = urlsplit(str(configured))
    if parts.hostname not in ("localhost", "127.0.0.1") or parts.scheme != "http" or not parts.port:
        raise SandboxError(
            f"{file.name} names {configured or 'no nocobaseUrl'}; the sandbox's NocoBase runs on this machine only.",
            "Set it back, for example: `make up NOCOBASE_PORT=13000`.",
        )
    return str(configured)


def install_steps(place: Place) -> list[Step]:
    """Everything that is installed, side by side as far as possible: Python packages, NocoBase, the engine."""
    probed: list[find.Plan] = []

    def packages(report: Report) -> str:
        return install_python_packages(place, report)

    def nocobase(report: Report) -> str:
        from sandbox.nocobase import packages as nocobase_packages

        return "installed" if nocobase_packages.install(place, report) else "already installed"

    def probe(report: Report) -> str:
        report("looking for a Pulumi engine")
        chosen = find.plan(find.probe(place))
        probed.append(chosen)
        if chosen.way is find.Way.BUILD:
            report("building it from source, which takes minutes")
            build.build(place, report)
        return chosen.reason

    def tools(report: Report) -> str:
        from sandbox.engine import obtain
        from sandbox.engine.azuread_plugin import PluginOrigin, azuread_plugin
        from sandbox.engine.tools import install_tools

        engine = install_tools(place, obtain.engine(place, report))
        plugin = azuread_plugin(place, engine, report)
        record = Record(
            cli=str(engine.cli),
            engine=f"{engine.version}, {engine.origin.value}",
            azuread=plugin.origin.value,
            official_azuread=plugin.origin is not PluginOrigin.STAND_IN,
            entra_port=_kept_entra_port(place),
        )
        _save_record(place, record)
        return f"Pulumi {record.engine}; azuread: {record.azuread} ({plugin.reason})"

    return [
        Step("packages", "Python packages", packages),
        Step("nocobase-packages", "NocoBase packages", nocobase),
        Step("engine", "Pulumi engine", probe),
        Step("tools", "Engine and azuread plugin", tools, after=("packages", "engine")),
    ]


def start_steps(place: Place) -> list[Step]:
    """Starts the stand-in for Entra ID, and NocoBase; both are left running."""

    def entra(report: Report) -> str:
        return f"https://localhost:{start_entra(place, report)}"

    def nocobase(report: Report) -> str:
        from sandbox.nocobase import server

        url = nocobase_url(place)
        report("starting NocoBase")
        server.start(place, urlsplit(url).port or 0, urlsplit(url).path)
        return url

    return [
        Step("entra", "Entra ID stand-in", entra, after=("tools",)),
        Step("nocobase", "NocoBase", nocobase, after=("packages", "nocobase-packages")),
    ]


def stop(place: Place) -> list[str]:
    """Stop what the sandbox started; the names of what was running. Nothing that is stored is lost."""
    return [name for name in (ENTRA, "nocobase") if processes.stop(place, name)]


def install_python_packages(place: Place, report: Report) -> str:
    """Install the locked requirements into this Python's virtualenv, unless exactly these are installed already."""
    return _pip_install(place, report, Path(sys.executable), "pip", *REQUIREMENTS)


def install_policy_packages(place: Place, report: Report) -> str:
    """Install what the policy pack runs on, in a virtualenv of its own.

    Its SDK and the product's want different versions of protobuf.
    """
    import venv

    python = place.policy_virtualenv / "bin" / "python"
    if not python.exists():
        report("making a virtualenv")
        venv.create(place.policy_virtualenv, with_pip=True)
    return _pip_install(place, report, python, "pip-policy", "policy/requirements.txt")


def _pip_install(place: Place, report: Report, python: Path, log_name: str, *requirements: str) -> str:
    stamp = python.parent.parent / "installed-requirements.txt"
    locked = "".join((PROJECT / name).read_text(encoding="utf-8") for name in requirements)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == locked:
        return "already installed"
    report("pip install")
    options = [option for name in requirements for option in ("-r", str(PROJECT / name))]
    place.logs.mkdir(parents=True, exist_ok=True)
    with processes.log_file(place, log_name).open("wb") as log:
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--require-hashes", *options]
        ended = subprocess.run(pip, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
    if ended.returncode != 0:
        raise SandboxError(
            f"pip could not install the Python packages:\n{processes.log_tail(place, log_name, 5)}",
            "Is the package index reachable? Then run the command again.",
        )
    stamp.write_text(locked, encoding="utf-8")
    return "installed"


def start_entra(place: Place, report: Report) -> int:
    """Start the stand-in for Entra ID unless it runs; return its port. Its state survives restarts."""
    from sandbox.certificates import certificates

    record = load_record(place)
    if processes.running(place, ENTRA) is not None and not processes.port_is_free(record.entra_port):
        return record.entra_port
    processes.stop(place, ENTRA)
    report("starting the stand-in for Entra ID")
    files = certificates(place)
    port = record.entra_port
    if not processes.port_is_free(port):
        port = processes.free_port()
        _save_record(place, Record(**{**asdict(record), "entra_port": port}))
    command: list[str | Path] = [sys.executable, "-m", "sandbox.entra", "--home", place.entra, "--port", str(port)]
    command += ["--certificate", files.certificate, "--key", files.key]
    place.entra.mkdir(parents=True, exist_ok=True)
    processes.start(place, ENTRA, command, {"PATH": "/usr/bin:/bin"}, PROJECT)
    processes.wait_until_ready(place, ENTRA, lambda: not processes.port_is_free(port), patience=30)
    return port


def _kept_entra_port(place: Place) -> int:
    """The port from the last time, so that a shell with the sandbox's environment keeps working; else a free one."""
    try:
        return load_record(place).entra_port
    except SandboxError:
        return processes.free_port()


def _record_file(place: Place) -> Path:
    return place.home / "sandbox.json"


def _save_record(place: Place, record: Record) -> None:
    private.folder(place.home)
    partial = _record_file(place).with_suffix(".partial")
    partial.write_text(json.dumps(asdict(record)), encoding="utf-8")
    partial.replace(_record_file(place))
