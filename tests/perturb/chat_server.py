"""A chat-completions server on this machine that answers by script."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """One answer: a status, a body (text of a completion when a string), headers, and what to wait for first."""

    body: str | bytes = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None


@dataclass
class ChatServer:
    """Where it listens, how it replies to the n-th request, and what it was sent."""

    reply: Callable[[int, dict[str, Any]], Reply]
    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/chat/completions"


def completion(text: str) -> bytes:
    """The body of a chat completion."""
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


def script(*replies: Reply | str) -> Callable[[int, dict[str, Any]], Reply]:
    """The replies in order; the last one for all further requests."""
    ready = [Reply(reply) if isinstance(reply, str) else reply for reply in replies]
    return lambda number, request: ready[min(number, len(ready) - 1)]


@contextmanager
def serving(reply: Callable[[int, dict[str, Any]], Reply]) -> Iterator[ChatServer]:
    """A server that is stopped afterwards."""
    chat = ChatServer(reply)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            chat.requests.append(request)
            chat.keys.append(self.headers.get("Authorization", ""))
            answer = chat.reply(len(chat.requests) - 1, request)
            if answer.hold is not None:
                answer.hold.wait(5)
            body = completion(answer.body) if isinstance(answer.body, str) else answer.body
            try:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:  # the client hung up, as it should after its time-out
                pass

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    chat.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield chat
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
