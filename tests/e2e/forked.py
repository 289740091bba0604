"""Python processes of the engine that are forked from a template instead of started anew.

Half of a `pulumi up` is the start of language host, program, dynamic provider and azuread plugin, each of which imports
the same packages every time. Here they are imported once for a sandbox (`template.py`).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox.engine.azuread_plugin import EXECUTABLE, plugin_folder
from sandbox.engine.find import LANGUAGE_HOST
from sandbox.engine.tools import DYNAMIC_PROVIDER
from sandbox.place import PROJECT, Place

OWN_START = {"TESTS_OWN_START": "1"}
"""Has the processes of a command start as they do for everybody else."""

PROGRAM = (
    "asyncio", "dill", "grpc.aio", "httpx", "opentelemetry.sdk.trace", "pulumi", "pulumi.dynamic.dynamic",
    "pulumi.runtime.proto.language_pb2", "pulumi_azuread", "pydantic", "pydantic_settings", "yaml",
)  # fmt: skip
"""What program and push import from packages. Nothing of the project: that each of them imports for itself."""

PLUGIN = ("grpc", "sandbox.azuread.provider", "sandbox.azuread.__main__")
"""What the azuread stand-in imports."""

HERE = Path(__file__).parent


@contextmanager
def forked(place: Place) -> Iterator[None]:
    """Have the commands of the sandbox in `place` use templates; an official host or plugin starts as always."""
    plugin = plugin_folder(place.pulumi_home) / EXECUTABLE
    with (
        _template(place.home / "program.sock", PROGRAM, [place.tools / LANGUAGE_HOST, place.tools / DYNAMIC_PROVIDER]),
        _template(place.home / "plugin.sock", PLUGIN, [plugin], PYTHONPATH=str(PROJECT)),
    ):
        yield


@contextmanager
def _template(address: Path, modules: Sequence[str], launchers: Sequence[Path], **variables: str) -> Iterator[None]:
    """A template from which comes what the launchers of the sandbox would start."""
    ours = [launcher for launcher in launchers if launcher.is_file() and launcher.read_bytes().startswith(b"#!")]
    command = [sys.executable, "-u", "-P", str(HERE / "template.py"), str(address), *modules]
    environment = {**os.environ, **variables}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as template:
        assert template.stdout is not None
        assert template.stdout.readline() == "ready\n"
        client = shlex.join([sys.executable, "-I", "-S", str(HERE / "from_template.py"), str(address)])
        for launcher in ours:
            _prefer(launcher, client)
        yield
        template.terminate()


def _prefer(launcher: Path, client: str) -> None:
    """Have the launcher run `client` with the command that it would start, unless OWN_START says otherwise."""
    lines = launcher.read_text().splitlines()
    command = lines[-1].partition(" -u -P ")[2]
    assert command, lines
    (variable,) = OWN_START
    lines.insert(-1, f'[ -n "${variable}" ] || exec {client} {command}')
    partial = launcher.with_name(f".{launcher.name}")
    partial.write_text("\n".join(lines) + "\n")
    partial.chmod(0o755)
    partial.replace(launcher)
