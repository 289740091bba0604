"""The whole way to an engine in one call, for programs that run in the complete virtualenv."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sandbox.engine.build import ENGINE, build, go_version
from sandbox.engine.download import download
from sandbox.engine.find import Engine, Origin, Way, plan, probe
from sandbox.errors import SandboxError
from sandbox.place import Place


def engine(place: Place, report: Callable[[str], None]) -> Engine:
    """The Pulumi engine of this machine: found, else downloaded, else built (which takes minutes).

    A download that fails is followed by a build. Raises SandboxError if there is no way to an engine.
    """
    findings = probe(place)
    chosen = plan(findings)
    if chosen.way is Way.DOWNLOAD:
        try:
            return download(place, report)
        except SandboxError as failed:
            happened = failed.what.splitlines()[0].rstrip(".:")
            report(happened)
            chosen = plan(replace(findings, no_download=happened, go=go_version()))
    if chosen.engine is not None:
        return chosen.engine
    report(chosen.reason)
    return built(place, report)


def built(place: Place, report: Callable[[str], None]) -> Engine:
    """The engine as `build` makes it, or made it before."""
    return Engine(build(place, report), ENGINE, Origin.BUILT, bundled_host=False)
