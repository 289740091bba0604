"""The launcher of Pulumi's dynamic providers: `python -u -m pulumi.dynamic`, but with a quick end.

The engine waits for the end of each provider. The SDK's server ends as always (calls are cancelled, its threads and
exit handlers finish); only freeing every object one by one, 0.1 s of each `pulumi up`, is left to the operating system.

Runs as a script with the project's own Python. It may not import anything of the sandbox.
"""

from __future__ import annotations

import atexit
import gc
import os
import runpy
import sys
import threading


def main() -> None:
    """Be `python -m pulumi.dynamic`."""
    # As `-m` has it: provider code is found from the folder that the engine starts this in.
    sys.path.insert(0, os.getcwd())
    # Some 25 collections less while the SDK is imported.
    gc.set_threshold(50_000)
    # What the interpreter itself calls for `-m`: the module becomes `__main__`, which the SDK's pickling relies on.
    runpy._run_module_as_main("pulumi.dynamic")  # type: ignore[attr-defined]
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
