"""Redis on a loopback port, its files in a temporary directory; it can be killed and started again."""

import contextlib
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import redis

from interop.daemon import free_port, running
from interop.require import program, require_peer


class RedisServer:
    """A server of one's own: `with RedisServer() as server: ... server.url`.

    Args:
        options: Directives of its configuration, such as maxmemory. Without one it writes nothing down.
    """

    def __init__(self, **options: str) -> None:
        require_peer("redis")
        self._options: Final = {"save": "", "appendonly": "no"} | options
        self._cleanup = contextlib.ExitStack()
        self._running = contextlib.ExitStack()
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return self._client

    def start(self) -> None:
        """Start it, on the port that it has once it has one."""
        self.port = self.port or free_port()
        self._client = self._running.enter_context(contextlib.closing(redis.Redis(port=self.port, socket_timeout=20)))
        settings = [part for name, value in self._options.items() for part in (f"--{name}", value)]
        command = [program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", *settings]
        process = running(
            [*command, "--dir", str(self._folder)], log=self._folder / "log", answers=lambda: _answers(self._client)
        )
        self._process = self._running.enter_context(process)

    def kill(self) -> None:
        """End it without a word, as a machine does that fails."""
        self._process.kill()
        self._process.wait()
        self._running.close()

    def __enter__(self) -> Self:
        self._folder = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="redis-")))
        self._cleanup.callback(self._running.close)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
