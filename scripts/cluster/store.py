"""What takes long to make, kept outside of the checkout: `kept("images", digest, make)` makes it once on this machine.

Each thing is a folder named for what it is made from. It is made aside and renamed, so what a killed run leaves is no
half of it, and goes when the next one is made. CLUSTER_CACHE is another place than `auth0-flask` in XDG_CACHE_HOME.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Of each kind: another clone may be at work with an older one.
_KEPT = 3


def home() -> Path:
    """The folder of all that is kept."""
    given = os.environ.get("CLUSTER_CACHE")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(given).absolute() if given else cache / "auth0-flask" / "cluster"


def digest(parts: Iterable[Path | str]) -> str:
    """A name for what files, with their paths' last components, and words come to."""
    found = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode()
        name = part.name if isinstance(part, Path) else ""
        found.update(f"{name} {len(content)}\n".encode() + content)
    return found.hexdigest()[:16]


def kept(kind: str, version: str, make: Callable[[Path], None]) -> Path:
    """The folder that *make* has filled for this *version*; whoever comes second waits."""
    folder = home() / f"{kind}-{version}"
    if not folder.exists():
        with alone(kind):
            if not folder.exists():
                for leftover in home().glob(f".{kind}-*"):
                    shutil.rmtree(leftover)
                aside = Path(tempfile.mkdtemp(prefix=f".{kind}-", dir=home()))
                make(aside)
                aside.chmod(0o755)
                aside.rename(folder)
    folder.touch()
    for old in sorted(home().glob(f"{kind}-*/"), key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


@contextmanager
def alone(name: str, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of that name on this machine. Raises BlockingIOError where another has it and *wait* is false."""
    home().mkdir(parents=True, exist_ok=True)
    with (home() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
