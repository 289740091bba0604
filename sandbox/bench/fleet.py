"""Many stacks at once: `python -m sandbox.bench fleet`.

Each stack has a real NocoBase of its own, a sub-application with its own database; one more is broken on purpose.
Deploys all, then all again without a change. Prints for each stack what became of it, how long it took, and the most
memory that its processes held: the engine, the language host, the dynamic provider and the azuread plugin. Memory is
the proportional set size, in which what processes share is counted once. The azuread plugin is the sandbox's stand-in,
a Python program, unless the official one was found.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from sandbox import holdings
from sandbox.environment import environment
from sandbox.nocobase import server, sub_applications
from sandbox.place import Place
from sandbox.setup import nocobase_url

MEGABYTE = 1024 * 1024
NOWHERE = "http://127.0.0.1:9"
PAUSE = 0.2
"""Seconds between two looks at the memory."""


@dataclass
class Memory:
    """The most that was seen, in bytes: of each stack's processes together, by kind of process, and of all at once."""

    stacks: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    together: int = 0

    def look(self, command: psutil.Process) -> None:
        """See what the engines that `command` has started hold now."""
        everything = 0
        try:
            engines = command.children()
        except psutil.NoSuchProcess:
            return
        for engine in engines:
            held = 0
            try:
                arguments = engine.cmdline()
                if "--stack" not in arguments:
                    continue
                for process in (engine, *engine.children(recursive=True)):
                    size = process.memory_full_info().pss
                    held += size
                    kind = _kind(process.cmdline())
                    self.kinds[kind] = max(self.kinds.get(kind, 0), size)
            except psutil.Error:  # it has just ended
                continue
            name = arguments[arguments.index("--stack") + 1]
            self.stacks[name] = max(self.stacks.get(name, 0), held)
            everything += held
        self.together = max(self.together, everything)


def measure(place: Place, count: int, parallel: int, console: Console, progress: Console) -> dict[str, Any]:
    """Deploy `count` stacks twice, one of them broken. Raises SystemExit if any did not become what it should."""
    *healthy, broken = [f"stack-{number:02}" for number in range(1, count + 1)]
    progress.print(f"Making {len(healthy)} NocoBase applications and {count} stacks")
    for name in healthy:
        sub_applications.create(place, name)
    address = nocobase_url(place)
    # The broken one has another address, so each stack needs a key of its own.
    key = server.api_key(place)
    keys = {f"NOCOBASE_API_KEY_{name.upper().replace('-', '_')}": key for name in (*healthy, broken)}
    for name in (*healthy, broken):
        given = {"nocobaseUrl": address, "nocobaseApp": name, "applicationName": f"NocoBase mail {name}"}
        if name == broken:
            given = {"nocobaseUrl": NOWHERE, "nocobasePatienceSeconds": "0"}
        lines = [f"  nocobase-outlook:{key}: {value}" for key, value in given.items()]
        (place.project / f"Pulumi.{name}.yaml").write_text("\n".join(["config:", *lines]) + "\n", encoding="utf-8")
        init = ["pulumi", "stack", "init", name, "--no-select", "--non-interactive"]
        subprocess.run(init, cwd=place.project, env=_variables(place), check=True, capture_output=True)

    runs = {}
    for run, expected in (("first", "changed"), ("no change", "unchanged")):
        progress.print(f"Deploying all, {parallel} at a time: {run}")
        runs[run] = _up(place, parallel, keys)
        outcomes = {row["stack"]: row["outcome"] for row in runs[run]["results"]}
        wanted = {**dict.fromkeys(healthy, expected), broken: "failed", "dev": "left out"}
        if outcomes != wanted:
            odd = [row for row in runs[run]["results"] if row["outcome"] != wanted[row["stack"]]]
            raise SystemExit(f"These stacks did not become what they should: {json.dumps(odd, indent=2)}")
    rows = [server.mail_settings_row(place, app=name) or {} for name in healthy]
    held = {row.get("clientId") for row in rows if row.get("clientSecret")}
    known = {application["appId"] for application in holdings.entra(place)["applications"]}
    if len(held) != len(healthy) or not held <= known:
        raise SystemExit(f"{len(held & known)} of {len(healthy)} NocoBases hold an application of their own.")
    _show(runs, console)
    console.print(f"{len(held)} of {len(healthy)} NocoBases hold the credentials of an application of their own.")
    return {"stacks": count, "parallel": parallel, **runs}


def _up(place: Place, parallel: int, keys: Mapping[str, str]) -> dict[str, Any]:
    arguments = [sys.executable, "-m", "provisioning", "up", "--all", "--parallel", str(parallel), "--format", "json"]
    memory = Memory()
    began = time.monotonic()
    with subprocess.Popen(
        arguments,
        cwd=place.project,
        env={**_variables(place), **keys},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
    ) as command:
        ended = threading.Event()
        watched = psutil.Process(command.pid)

        def watch() -> None:
            while not ended.wait(PAUSE):
                memory.look(watched)

        watcher = threading.Thread(target=watch)
        watcher.start()
        stdout, _ = command.communicate()
        ended.set()
        watcher.join()
    seconds = time.monotonic() - began
    results = [{**row, "megabytes": memory.stacks.get(row["stack"], 0) // MEGABYTE} for row in json.loads(stdout)]
    return {
        "results": results,
        "seconds": seconds,
        "exit code": command.returncode,
        "megabytes at once": memory.together // MEGABYTE,
        "megabytes by kind": {kind: size // MEGABYTE for kind, size in sorted(memory.kinds.items())},
    }


def _show(runs: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    by_stack: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for measured in runs.values():
        for result in measured["results"]:
            by_stack[result["stack"]].append(result)
    table = Table(title="Each stack", title_justify="left")
    table.add_column("stack")
    for run in runs:
        table.add_column(run)
        table.add_column("s", justify="right")
        table.add_column("MB", justify="right")
    for name, rows in sorted(by_stack.items()):
        cells = [text for row in rows for text in (row["outcome"], f"{row['seconds']:.1f}", str(row["megabytes"]))]
        table.add_row(name, *cells)
    console.print(table)
    for name, rows in sorted(by_stack.items()):
        if rows[-1]["error"]:
            console.print(f"{name}: {rows[-1]['error']}", markup=False)
    for run, measured in runs.items():
        kinds = ", ".join(f"{kind} {size}" for kind, size in measured["megabytes by kind"].items())
        console.print(
            f"{run}: {measured['seconds']:.0f} s in all, exit code {measured['exit code']}, at most "
            f"{measured['megabytes at once']} MB at once; largest process of each kind (MB): {kinds}"
        )


def _variables(place: Place) -> dict[str, str]:
    variables = {**os.environ, **environment(place)}
    # Where it is set, Python compiles the program anew each time, as on no machine of a person.
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    return variables


def _kind(arguments: list[str]) -> str:
    line = " ".join(arguments)
    names = {
        "language_host": "language host",
        "pulumi-language-python-exec": "program",
        "pulumi-resource-pulumi-python": "dynamic provider",
        "pulumi.dynamic": "dynamic provider",
        "azuread": "azuread plugin",
    }
    return next((kind for word, kind in names.items() if word in line), "engine")
