"""New keys without a restart: the file that they are mounted as is read again when it has changed."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

from app.server import LoopFlask

from .events import keys_changed, keys_refused
from .keyring import KeyRing

_SECONDS = 5.0
_UNKNOWN_KEY_SECONDS = 1.0

Read = Callable[[], Sequence[str]]


class Rotation:
    """Keeps *keyring* as `read()` has it: every few seconds, and when a blob has a key that the ring has not.

    Another process may have seen the new keys before this one. Kubernetes brings a changed secret to one node after the
    other, within a minute or two.
    """

    def __init__(self, app: LoopFlask, keyring: KeyRing, ring: Sequence[str], read: Read) -> None:
        self._app = app
        self._keyring = keyring
        self._ring = tuple(ring)
        self._read = read
        self._problem = ""
        self._looked_at = time.monotonic()
        self._task: asyncio.Task[None] | None = None
        keyring.on_unknown_key = self._look_for_unknown_key

    async def start(self) -> None:
        """Look now, and from now on."""
        # A worker that is started again has the ring of the server's start.
        self._look()
        self._task = asyncio.get_running_loop().create_task(self._look_again_and_again())

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _look_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS)
            self._look()

    def _look_for_unknown_key(self) -> None:
        # Anybody can send a blob with any key's id.
        if time.monotonic() - self._looked_at >= _UNKNOWN_KEY_SECONDS:
            self._look()

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        try:
            ring = tuple(self._read())
        except (OSError, ValueError) as error:
            # What is wrong with it is said once; the keys that are there go on.
            problem = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
            keys_refused.send(self._app, problem=problem, news=problem != self._problem)
            self._problem = problem
            return
        self._problem = ""
        if ring != self._ring:
            self._ring = ring
            self._keyring.use(ring)
            keys_changed.send(self._app, key_id=self._keyring.first_id, keys=len(ring))


def init_app(app: LoopFlask, keyring: KeyRing, ring: Sequence[str], read: Read) -> None:
    """Keep the ring as *read* has it while the server runs."""
    rotation = Rotation(app, keyring, ring, read)
    app.on_start(rotation.start)
    app.on_stop(rotation.stop)
