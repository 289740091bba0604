"""`python -m sandbox.azuread`: the plugin process. Prints its port on stdout, as the engine expects, and serves.

With `--attached` in place of the engine's address it serves one engine after the other (PULUMI_DEBUG_PROVIDERS), until
the process that started it ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

from sandbox.azuread.protocol import skip_package_code

WORKERS = 16
ATTACHED = "--attached"
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def serve(engine: str | None, attached: bool = False) -> None:
    """Serve until a signal or the engine's Cancel. engine: address of the engine's log service.

    attached: the plugin outlives each of its engines, so that their Cancel does not end it.
    """
    skip_package_code()
    from pulumi.runtime.proto import provider_pb2_grpc  # noqa: PLC0415 - after the short cut

    from sandbox.azuread.provider import Provider  # noqa: PLC0415

    stopping = threading.Event()
    on_cancel = (lambda: None) if attached else stopping.set
    log = EngineLog(engine)
    provider = Provider(on_cancel=on_cancel, log=log, on_attach=log.attach)
    server = grpc.server(ThreadPoolExecutor(max_workers=WORKERS), options=UNLIMITED)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    print(port, flush=True)
    # A signal that reaches a gRPC thread does not wake this one, and a killed engine does not say good-bye.
    parent = os.getppid()
    while not stopping.wait(0.5) and os.getppid() == parent:
        pass
    server.stop(grace=1).wait()


class EngineLog:
    """Writes to the log of the engine at an address, or nowhere if no engine gave one."""

    def __init__(self, address: str | None) -> None:
        self.address = address

    def attach(self, address: str) -> None:
        """Another engine uses the plugin from now on."""
        self.address = address

    def __call__(self, severity: str, urn: str, text: str) -> None:
        """Log a text; on stderr if the engine does not take it."""
        if self.address is None:
            return
        from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc  # noqa: PLC0415 - only if needed

        level = engine_pb2.ERROR if severity == "error" else engine_pb2.DEBUG
        request = engine_pb2.LogRequest(severity=level, urn=urn, message=text)
        with grpc.insecure_channel(self.address) as channel:
            try:
                engine_pb2_grpc.EngineStub(channel).Log(request, timeout=5)
            except grpc.RpcError:
                print(text, file=sys.stderr)


if __name__ == "__main__":
    told = sys.argv[-1] if len(sys.argv) > 1 else None
    serve(None if told == ATTACHED else told, attached=told == ATTACHED)
