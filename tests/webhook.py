"""A receiver of alerts on loopback."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Webhook:
    """What it received, and ``status``, which it answers once ``may_answer`` is set."""

    def __init__(self) -> None:
        self.status = 200
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.received: list[dict[str, Any]] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if webhook.status == 200:
                    webhook.received.append(body)
                webhook.may_answer.wait()
                # Who asked may be gone by then.
                with contextlib.suppress(ConnectionError):
                    self.send_response(webhook.status)
                    self.end_headers()

            def log_message(self, *arguments: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_port}/"


@contextlib.contextmanager
def running_webhook() -> Iterator[Webhook]:
    """A webhook that listens until the end."""
    hook = Webhook()
    threading.Thread(target=hook.server.serve_forever, daemon=True).start()
    try:
        yield hook
    finally:
        hook.may_answer.set()
        hook.server.shutdown()
        hook.server.server_close()
