"""A server before another one, which refuses requests when a test tells it to."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

_ENDS_HERE = {"host", "connection", "accept-encoding", "transfer-encoding", "content-length"}


class FlakyServer:
    """Hands every request on, but for those that it is told to refuse."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._path, self._status, self._body, self._left = "", 0, b"", 0
        self.refused = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _handle(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, answer = outer.answer(self.command, self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in _ENDS_HERE:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def refuse(self, path: str, status: int, reason: str, *, times: int) -> None:
        """Answer the next requests to addresses that hold ``path`` as BigQuery refuses."""
        message = "Refused by a test"
        error = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}
        self._path, self._status, self._left = path, status, times
        self._body = json.dumps({"error": error}).encode()

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one answer."""
        if self._left and self._path in path:
            self._left -= 1
            self.refused += 1
            return self._status, {"Content-Type": "application/json"}, self._body
        kept = {name: value for name, value in headers.items() if name.lower() not in _ENDS_HERE}
        request = urllib.request.Request(self._target + path, data=body or None, method=method, headers=kept)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, dict(response.headers), response.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
