"""A short way to Pulumi's protobuf modules.

`import pulumi` takes a quarter of a second, of which a plugin process needs nothing but the message types. Empty
packages in place of those above them let Python find the modules without running any other code.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

PACKAGES = ("pulumi", "pulumi.runtime", "pulumi.runtime.proto")


def skip_package_code() -> None:
    """Call first thing in a process that wants the protobuf modules only; does nothing once pulumi is imported."""
    spec = importlib.util.find_spec("pulumi")
    if "pulumi" in sys.modules or spec is None or not spec.submodule_search_locations:
        return
    root = Path(next(iter(spec.submodule_search_locations)))
    for name in PACKAGES:
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
