"""Child processes that end when this one does, however it ends (on Linux), and with them all that they started."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO

# Long enough for a suite's fixtures to stop their servers on a busy machine; a second signal does not wait.
GRACE_SECONDS = 60
_LEFT_SECONDS = 10
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Loaded before a fork: the child must not import anything.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def die_with(parent: int, number: int = signal.SIGTERM) -> None:
    """Between fork and exec: get SIGTERM, or another signal, when *parent* ends, even if that is killed.

    It is the end of the *thread* that forked which counts, so this is for threads that stay.
    """
    if _prctl:
        _prctl(_PR_SET_PDEATHSIG, number)
        # It may have ended between the fork and here.
        if os.getppid() != parent:
            os._exit(1)


def descendants(pid: int) -> set[int]:
    """The processes that *pid* has started, and those that they have; none where there is no /proc."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = {int(child) for thread in threads for child in (thread / "children").read_text().split()}
    except OSError:
        return set()
    return children.union(*map(descendants, children))


def is_running(pid: int) -> bool:
    """Whether the process is there, and not merely waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class CalledOff(SystemExit):
    """A signal asked this process to end; the exit status is the shell's for that signal."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number)


class Processes:
    """`with Processes() as processes:` what is started in it has ended after it. For a program's only thread.

    SIGINT, SIGTERM and SIGHUP raise CalledOff. Then each process gets SIGTERM and GRACE_SECONDS, and what is left of
    those that they started is ended too: on Linux an orphan becomes a child of this process.
    """

    def __init__(self) -> None:
        self._aside: list[subprocess.Popen[bytes]] = []
        self._in_front: list[subprocess.Popen[bytes]] = []
        self._handlers: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}
        self._stopping = False
        self._hurry = False

    def __enter__(self) -> "Processes":
        if _prctl:
            _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Under `nohup` a signal stays ignored.
            if signal.getsignal(number) != signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        # Ctrl-C has reached those in front already: a second signal would interrupt what they do about the first.
        interrupted = isinstance(error, CalledOff) and error.signal == signal.SIGINT
        for process in self._aside if interrupted else self._aside + self._in_front:
            process.terminate()
        self._wait_while(self._own, GRACE_SECONDS)
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.running():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            self._wait_while(self.running, _LEFT_SECONDS)
        for known, handler in self._handlers.items():
            signal.signal(known, handler)

    def start(self, command: Sequence[str | Path], cwd: Path) -> "subprocess.Popen[bytes]":
        """Start *command* in front of the person, who may talk to it."""
        self._in_front.append(self._popen(command, cwd, None, None, None))
        return self._in_front[-1]

    def start_aside(self, command: Sequence[str | Path], cwd: Path, output: IO[bytes]) -> "subprocess.Popen[bytes]":
        """Start *command* in a process group of its own, which Ctrl-C does not reach."""
        self._aside.append(self._popen(command, cwd, subprocess.DEVNULL, output, 0))
        return self._aside[-1]

    def running(self) -> dict[int, str]:
        """What runs of all that was started here, by whomever: command lines by process id."""
        self._reap()
        pids = self._own() | descendants(os.getpid())
        return {pid: _command_line(pid) for pid in sorted(pids) if is_running(pid) or pid in self._own()}

    def wait(self, seconds: float) -> None:
        """Let some time pass, and orphans go that have ended: a test may wait for just that."""
        time.sleep(seconds)
        self._reap()

    @staticmethod
    def _popen(
        command: Sequence[str | Path], cwd: Path, stdin: int | None, output: IO[bytes] | None, group: int | None
    ) -> "subprocess.Popen[bytes]":
        parent = os.getpid()
        return subprocess.Popen(
            command,
            cwd=cwd,
            stdin=stdin,
            stdout=output,
            stderr=output,
            process_group=group,
            preexec_fn=lambda: die_with(parent),  # noqa: PLW1509 - there is one thread
        )

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            self._hurry = True
        else:
            self._stopping = True
            raise CalledOff(number)

    def _own(self) -> set[int]:
        return {process.pid for process in self._aside + self._in_front if process.poll() is None}

    def _reap(self) -> None:
        own = self._own()
        with suppress(ChildProcessError):
            # Not waitpid(-1): the status of an own process is Popen's.
            while _prctl and (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
                if ended.si_pid in own:
                    return
                os.waitpid(ended.si_pid, 0)

    def _wait_while(self, busy: Callable[[], object], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while busy() and time.monotonic() < deadline and not self._hurry:
            self.wait(0.02)


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
