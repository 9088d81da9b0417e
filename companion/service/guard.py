"""What a request may be, checked before anything of it is parsed.

Explained in :doc:`/questions/service`, "Limits".
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Guard", "ServiceLimits", "error_body"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class ServiceLimits:
    """How much a request may ask for.

    Attributes:
        body_bytes: The longest body.
        body_seconds: How long a client may take to send it.
        brackets: The most brackets that its JSON may open, so that it cannot nest deeper than that.
        texts: The most texts in a request.
        characters: The longest text.
    """

    body_bytes: int = 2**20
    body_seconds: float = 10.0
    brackets: int = 8
    texts: int = 32
    characters: int = 10_000


def error_body(code: str, message: str) -> dict[str, dict[str, str]]:
    """Give the body of every error: a word for programs and a sentence for people."""
    return {"error": {"code": code, "message": message}}


class Guard:
    """Lets through a request whose body is small, JSON by its name, UTF-8, and not deeply nested.

    It is plain ASGI, so that it stands before the framework: a body that is too long is refused
    while it arrives, and not when it fills the memory.

    Args:
        app: What comes behind it.
        limits: The limits.
        refuse: Makes the response to a refused request.
        path: The one address whose requests have a body; that of any other is not read.
    """

    def __init__(
        self,
        app: Application,
        limits: ServiceLimits,
        refuse: Callable[[int, str, str], Application],
        path: str,
    ) -> None:
        self._app, self._limits, self._refuse, self._path = app, limits, refuse, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with its error."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("POST", self._path):
            await self._app(scope, receive, send)
            return
        try:
            self._check_headers(dict(scope["headers"]))
            async with asyncio.timeout(self._limits.body_seconds):
                body = await self._read(receive)
            self._check_content(body)
        except TimeoutError:
            problem = _Refused(408, "too_slow", "the body did not arrive in time; send it again")
            await self._refuse(*problem.args)(scope, receive, send)
        except _Refused as problem:
            await self._refuse(*problem.args)(scope, receive, send)
        else:
            await self._app(scope, _replay(body, receive), send)

    def _check_headers(self, headers: dict[bytes, bytes]) -> None:
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if kind != b"application/json":
            raise _Refused(415, "not_json", "send JSON, with content-type: application/json")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > self._limits.body_bytes:
            raise self._too_long()

    async def _read(self, receive: Receive) -> bytes:
        """Collect the body, and stop where it gets too long, whatever its header said."""
        body, is_more = bytearray(), True
        while is_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Refused(400, "disconnected", "the body ended early; send it again")
            body += message.get("body", b"")
            is_more = message.get("more_body", False)
            if len(body) > self._limits.body_bytes:
                raise self._too_long()
        return bytes(body)

    def _check_content(self, body: bytes) -> None:
        try:
            body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _Refused(
                400, "not_utf8", f"byte {error.start} of the body is not UTF-8; encode it as UTF-8"
            ) from error
        if _brackets(body) > self._limits.brackets:
            allowed = f"more than {self._limits.brackets} brackets"
            raise _Refused(400, "too_nested", f"the JSON has {allowed}; a request has two")

    def _too_long(self) -> "_Refused":
        allowed = f"{self._limits.body_bytes:,} bytes"
        return _Refused(413, "body_too_long", f"the body is longer than {allowed}; send less")


class _Refused(Exception):  # noqa: N818
    """Holds the status, the code and the message of a refusal."""


def _brackets(body: bytes) -> int:
    """Count the opening brackets of JSON outside its texts; it cannot nest deeper than that."""
    outside = b"".join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    return outside.count(b"[") + outside.count(b"{")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read already, and after it whatever comes."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
