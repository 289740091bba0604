"""Measures and prints a table; the figures also go to `bench.json`.

1. A no-change `pulumi up` of the product compared with a bare program with the same three resources: the same engine,
   host and sandbox, alternating; medians, and the median of the ratios pair by pair. Both run in a virtualenv of
   requirements.txt alone, as `pulumi install` makes it. And the same of both without the refresh, with the requests to
   Entra ID and the processor time, which a busy machine changes less: what the refresh costs.
2. The requests that reach NocoBase in each kind of run, counted by a proxy in front of it.
3. `make up` in a fresh clone and again, by step. The caches of pip, npm, Go and the built engine are as they are on
   this machine; with --no-caches they are empty, as on a new machine.

With `fleet`, only many stacks at once (see `sandbox/bench/fleet.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
import venv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from provisioning import __version__
from provisioning.cli.common import Plain
from sandbox import processes
from sandbox.bench import fleet
from sandbox.dev_stack import set_nocobase_url
from sandbox.engine.obtain import engine
from sandbox.engine.tools import install_tools
from sandbox.environment import environment
from sandbox.holdings import take_entra_requests
from sandbox.nocobase.bad_day import BadDay
from sandbox.place import PROJECT, Place, cache_folder, default_place
from sandbox.project_copy import copy_project
from sandbox.setup import install_steps, nocobase_url, start_steps, stop
from sandbox.steps import run_steps

RESULT = PROJECT / "bench.json"
console = Console(highlight=False)
progress = Plain(stderr=True, highlight=False)


def main() -> None:
    """Measure everything that was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--runs", type=int, metavar="NUMBER", default=9, help="alternating pairs of no-change runs (default 9)"
    )
    parser.add_argument("--no-caches", action="store_true", help="fresh clone with empty caches, the engine's included")
    parser.add_argument("--skip-clone", action="store_true", help="leave the fresh clone out")
    parser.add_argument("what", nargs="?", choices=["fleet"], help="only many stacks at once")
    parser.add_argument(
        "--stacks", type=int, metavar="NUMBER", default=50, help="fleet: how many, one of them broken (default 50)"
    )
    parser.add_argument(
        "--parallel", type=int, metavar="NUMBER", default=4, help="fleet: how many at a time (default 4)"
    )
    given = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="nocobase-outlook-bench-", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder, "project"), default_place().installed, Path(folder, "home"), cache_folder())
        copy_project(place.project, f"http://localhost:{processes.free_port()}")
        bare = Path(folder, "bare")
        shutil.copytree(PROJECT / "sandbox" / "bench" / "bare", bare)
        try:
            run_steps([*install_steps(place), *start_steps(place)], progress)
            if given.what == "fleet":
                results["fleet"] = fleet.measure(place, given.stacks, given.parallel, console, progress)
            else:
                use_product_virtualenv(place, [place.project, bare])
                results["no change"] = no_change(place, bare, given.runs)
                results["refresh"] = refresh(place, bare, given.runs)
                results["requests to NocoBase"] = requests(place)
        finally:
            stop(place)
        if not (given.skip_clone or given.what):
            results["make up"] = clone(Path(folder), given.no_caches)
    RESULT.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    progress.print(f"Written: {RESULT.name}")


def use_product_virtualenv(place: Place, projects: list[Path]) -> None:
    """Have the engine run `projects` in a virtualenv that holds what the product needs and nothing of the sandbox."""
    virtualenv = place.home / "virtualenv"
    python = virtualenv / "bin" / "python"
    progress.print("Making a virtualenv of requirements.txt")
    venv.create(virtualenv, with_pip=True)
    pip = f"{python} -m pip install --quiet --disable-pip-version-check --require-hashes -r".split()
    subprocess.run([*pip, str(PROJECT / "requirements.txt")], check=True)
    for project in projects:
        (project / ".venv").unlink(missing_ok=True)
        (project / ".venv").symlink_to(virtualenv)
    install_tools(place, engine(place, lambda _: None), python)


def no_change(place: Place, bare: Path, runs: int) -> dict[str, Any]:
    """Whole-program seconds of a no-change `up`, the product's and the bare program's in turn."""
    folders = {"bare": bare, "product": place.project}
    seconds: dict[str, list[float]] = {name: [] for name in folders}
    for folder in folders.values():
        pulumi(place, folder, "stack", "select", "--create", "dev")
        pulumi(place, folder, "up", "--yes", "--skip-preview")
    # One more of each that is not counted: the first one compiles modules and fills the file cache.
    for number in range(runs + 1):
        for name, folder in folders.items():
            took = pulumi(place, folder, "up", "--yes", "--skip-preview", "--expect-no-changes")
            if number:
                seconds[name].append(took)
    ratios = [ours / theirs for ours, theirs in zip(seconds["product"], seconds["bare"], strict=True)]
    table = Table(title=f"No-change `pulumi up`, {runs} pairs", title_justify="left")
    for heading in ("program", "median", "min", "max"):
        table.add_column(heading, justify="left" if heading == "program" else "right")
    for name, values in seconds.items():
        table.add_row(name, *(f"{value:.2f} s" for value in (statistics.median(values), min(values), max(values))))
    of_medians = statistics.median(seconds["product"]) / statistics.median(seconds["bare"])
    table.add_row("ratio of the medians", f"{of_medians:.2f}", "", "")
    table.add_row("ratio, pair by pair", f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f}", f"{max(ratios):.2f}")
    console.print(table)
    return {"seconds": seconds, "ratio of the medians": of_medians, "ratios": ratios}


def refresh(place: Place, bare: Path, runs: int) -> dict[str, Any]:
    """What a no-change `up` costs with the refresh and without it, the product's and the bare program's in turn."""
    kinds = [(name, how) for name in ("bare", "product") for how in ("true", "false")]
    folders = {"bare": bare, "product": place.project}
    measured: dict[str, dict[str, list[float]]] = {f"{name}, refresh {how}": {} for name, how in kinds}
    for number in range(runs + 1):
        for name, how in kinds:
            take_entra_requests(place)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            took = pulumi(
                place, folders[name], "up", "--yes", "--skip-preview", "--expect-no-changes", f"--refresh={how}"
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            asked = float(len(take_entra_requests(place)))
            for what, value in (("seconds", took), ("processor seconds", spent), ("requests to Entra ID", asked)):
                if number:
                    measured[f"{name}, refresh {how}"].setdefault(what, []).append(value)
    table = Table(title=f"What the refresh costs a no-change `pulumi up`, medians of {runs}", title_justify="left")
    for heading in ("program", "seconds", "processor seconds", "requests to Entra ID"):
        table.add_column(heading, justify="left" if heading == "program" else "right")
    for name, values in measured.items():
        seconds, spent, asked = (statistics.median(each) for each in values.values())
        table.add_row(name, f"{seconds:.2f} s", f"{spent:.2f} s", f"{asked:.0f}")
    console.print(table)
    return measured


def requests(place: Place) -> dict[str, Any]:
    """What reaches NocoBase in a run without change, in a run that repairs, in a destroy, and in a first push."""
    table = Table(title="Requests to NocoBase", title_justify="left")
    for heading in ("run", "requests", "of them writing", "which"):
        table.add_column(heading, overflow="fold")
    counted: dict[str, Any] = {}
    upstream = nocobase_url(place)
    pulumi(place, place.project, "destroy", "--yes", "--skip-preview")
    up = ("up", "--yes", "--skip-preview")
    with BadDay(upstream) as proxy:
        set_nocobase_url(place.project, proxy.url.replace("127.0.0.1", "localhost"))
        for run, command, prepare in (
            ("first push", up, ()),
            ("no change", up, ()),
            ("change of scopes", up, ("config", "set", "--path", "scopes[0]", "Mail.Read")),
            ("new secret", up, ("state", "taint", secret_urn())),
            ("destroy", ("destroy", "--yes", "--skip-preview"), ()),
        ):
            if prepare:
                pulumi(place, place.project, *prepare)
            proxy.clear()
            pulumi(place, place.project, *command)
            seen = [f"{request['method']} {request['path'].rpartition('/')[2]}" for request in proxy.requests]
            writing = sum(request["method"] != "GET" for request in proxy.requests)
            counted[run] = {"requests": seen, "writing": writing}
            which = ", ".join(f"{count} x {name}" if count > 1 else name for name, count in Counter(seen).items())
            table.add_row(run, str(len(seen)), str(writing), which)
        set_nocobase_url(place.project, upstream)
    console.print(table)
    return counted


def secret_urn() -> str:
    """The client secret of slot `a`."""
    return (
        "urn:pulumi:dev::nocobase-outlook::nocobase-outlook:entra:MailApplication$"
        "azuread:index/applicationPassword:ApplicationPassword::mail-secret-a"
    )


def clone(folder: Path, no_caches: bool) -> dict[str, Any]:
    """`make up` in a fresh clone of what is committed, and again."""
    target = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(target)], check=True)
    set_nocobase_url(target, f"http://localhost:{processes.free_port()}")
    extra = {}
    if no_caches:
        names = ("XDG_CACHE_HOME", "PIP_CACHE_DIR", "npm_config_cache", "GOMODCACHE", "GOCACHE")
        extra = {name: str(folder / "caches" / name) for name in names}
    table = Table(title=f"`make up`{', empty caches' if no_caches else ''}", title_justify="left")
    measured: dict[str, Any] = {"empty caches": no_caches}
    try:
        for run in ("fresh clone", "again"):
            began = time.monotonic()
            make(target, "up", extra)
            total = time.monotonic() - began
            times = json.loads((target / ".sandbox" / "dev" / "logs" / "times.json").read_text(encoding="utf-8"))
            measured[run] = {"seconds": total, "steps": times["steps"]}
    finally:
        make(target, "clean", extra)
    table.add_column("step")
    for run in ("fresh clone", "again"):
        table.add_column(run, justify="right")
    for step in measured["fresh clone"]["steps"]:
        table.add_row(step, *(f"{measured[run]['steps'][step]:.1f} s" for run in ("fresh clone", "again")))
    table.add_row("all, side by side", *(f"{measured[run]['seconds']:.1f} s" for run in ("fresh clone", "again")))
    console.print(table)
    return measured


def make(folder: Path, target: str, extra: Mapping[str, str]) -> None:
    """`make target` in `folder`."""
    subprocess.run(
        ["make", "--no-print-directory", target],
        cwd=folder,
        env={**os.environ, **extra},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )


def pulumi(place: Place, folder: Path, *arguments: str) -> float:
    """Run `pulumi` in `folder` with the sandbox's environment; the seconds that it took."""
    variables = {**os.environ, **environment(place)}
    # Where it is set, Python compiles the program anew each time, as on no machine of a person.
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    if "config" in arguments or "state" in arguments:
        arguments = (*arguments, "--stack", "dev")
    began = time.monotonic()
    ended = subprocess.run(
        ["pulumi", *arguments, "--non-interactive"],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    took = time.monotonic() - began
    if ended.returncode != 0:
        raise SystemExit(f"pulumi {' '.join(arguments)} failed:\n{ended.stdout}")
    return took
