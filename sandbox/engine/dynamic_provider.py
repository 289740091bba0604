"""The launcher of Pulumi's dynamic providers: `python -u -m pulumi.dynamic`, but with a quick end.

The engine waits for the end of each provider. The SDK's server ends as always (calls are cancelled, its threads and
exit handlers finish); only freeing every object one by one, 0.1 s of each `pulumi up`, is left to the operating system.

Runs as a script with the project's own Python. It may not import anything of the sandbox.
"""

from __future__ import annotations

import _thread
import atexit
import gc
import os
import runpy
import select
import signal
import sys
import threading
import time
from contextlib import suppress

GRACE_SECONDS = 5.0
"""How long a call under way may continue after an interrupt; the engine, if it still lives, waits as long."""


def main() -> None:
    """Be `python -m pulumi.dynamic`."""
    _wake_main_thread_on_interrupt()
    # As `-m` has it: provider code is found from the folder that the engine starts this in.
    sys.path.insert(0, os.getcwd())
    # Some 25 collections less while the SDK is imported.
    gc.set_threshold(50_000)
    # What the interpreter itself calls for `-m`: the module becomes `__main__`, which the SDK's pickling relies on.
    # An interrupt before it serves ends it as quietly as a later one.
    with suppress(KeyboardInterrupt):
        runpy._run_module_as_main("pulumi.dynamic")  # type: ignore[attr-defined]
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _wake_main_thread_on_interrupt() -> None:
    """Make sure that SIGINT, by which the engine ends its plugins, is noticed at once.

    The signal may reach any thread, and one that reaches a gRPC thread does not wake the waiting main thread, where
    Python raises KeyboardInterrupt; the engine would wait for five seconds and then kill. So a thread of our own waits
    for the byte that the interpreter writes, and wakes the main thread by a signal that means nothing else.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    # Whatever a shell starts in the background inherits SIGINT ignored, and Python then leaves it so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    main_thread = threading.get_ident()

    def wait() -> None:
        _wait_for_interrupt(reader)
        signal.pthread_kill(main_thread, signal.SIGUSR1)
        time.sleep(GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _wait_for_interrupt(signals: int) -> None:
    """Wait for SIGINT; the end of the engine, which closes this process's standard input, counts as one."""
    stdin = 0
    watch = select.poll()
    watch.register(signals, select.POLLIN)
    watch.register(stdin, 0)
    while True:
        for file, events in watch.poll():
            if file == stdin and events & select.POLLHUP:
                _thread.interrupt_main()
                return
            if file == stdin:
                watch.unregister(stdin)
            elif os.read(signals, 1)[0] == signal.SIGINT:
                return


if __name__ == "__main__":
    main()
