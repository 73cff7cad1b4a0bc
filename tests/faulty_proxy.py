"""A way to a server that can be made to fail: refused, cut short, or kept waiting."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Request:
    """What a client asked for."""

    method: str
    path: str
    body: bytes


@dataclass
class Fault:
    """What happens to a request instead of being passed on whole.

    Attributes:
        status: answer with it and pass nothing on.
        body: what is passed on in the place of the request's body.
        seconds: wait before anything else.
        drop: close the connection without an answer.
        lose_answer: pass the request on whole, then close the connection without an answer.
    """

    status: int | None = None
    body: Callable[[bytes], bytes] | None = None
    seconds: float = 0.0
    drop: bool = False
    lose_answer: bool = False


@dataclass
class FaultyProxy:
    """A running proxy. ``judge`` is asked about every request and may name a fault.

    ``requests`` are those so far, without their bodies.
    """

    url: str = ""
    judge: Callable[[Request], Fault | None] = lambda request: None
    requests: list[Request] = field(default_factory=list)

    def fail_first(self, times: int, fault: Fault) -> None:
        """The next requests meet ``fault``; those after them pass."""
        left = iter(range(times))
        self.judge = lambda request: fault if next(left, None) is not None else None


@contextmanager
def proxy_to(target: str) -> Iterator[FaultyProxy]:
    """Start a proxy to ``target`` on a free port, and stop it at the end."""
    proxy = FaultyProxy()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            # A server that is gone, or a client that did not wait, ends this request and nothing else.
            with contextlib.suppress(ConnectionError, http.client.HTTPException):
                self._pass_on()

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, body)
            proxy.requests.append(Request(self.command, self.path, b""))
            fault = proxy.judge(request) or Fault()
            time.sleep(fault.seconds)
            if fault.drop:
                self.close_connection = True
                return
            if fault.status is not None:
                self._answer(
                    fault.status, {"Content-Type": "application/json"}, b'{"error": {"message": "no"}}'
                )
                return
            connection = http.client.HTTPConnection(urlsplit(target).netloc)
            headers = dict(self.headers.items())
            passed = fault.body(body) if fault.body else body
            if "Content-Length" in headers:
                headers["Content-Length"] = str(len(passed))
            connection.request(self.command, self.path, passed, headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            if fault.lose_answer:
                self.close_connection = True
                return
            self._answer(answer.status, dict(answer.getheaders()), content)

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in {"content-length", "transfer-encoding", "date", "server"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
