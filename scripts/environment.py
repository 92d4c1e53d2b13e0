"""Make the virtual environment from a lock: `environment.py .venv app|dev`.

Runs on any Python 3, so that one that is too old gets a sentence instead of a syntax error; standard library only.
"""

# ruff: noqa: UP031

import glob
import os
import shutil
import subprocess
import sys

MINIMUM = (3, 11)
# Nothing is written outside the checkout.
CACHE = ".local/cache/pip"


def main(folder: str, lock: str) -> "str | None":
    """Install requirements/<lock>.txt into *folder*; an empty file named after the lock is make's time stamp."""
    if sys.version_info < MINIMUM:
        return (
            "Python 3.11 or newer is needed, this is %s: install one, then `make PYTHON=python3.12 ...`."
            % (sys.version.split()[0])
        )
    try:
        import ensurepip  # noqa: F401, PLC0415
        import venv  # noqa: F401, PLC0415
    except ImportError:
        return "Python's venv module is missing: on Debian and Ubuntu, `apt-get install python3-venv`."
    requirements = "requirements/%s.txt" % lock
    python = os.path.join(folder, "bin", "python")  # noqa: PTH118
    print("Installing %s into %s ..." % (requirements, folder), flush=True)
    if not _works(python):
        subprocess.check_call([sys.executable, "-m", "venv", "--clear", folder])
    _forget_half_installed(folder)
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--cache-dir", CACHE]
    if subprocess.call([*command, "--require-hashes", "--requirement", requirements]) != 0:
        return "pip could not install %s: see its message above; a proxy is set with PIP_PROXY." % requirements
    with open(os.path.join(folder, lock), "w"):  # noqa: PTH118, PTH123
        pass
    return None


def _forget_half_installed(folder: str) -> None:
    # pip writes RECORD last. Without it, a package whose installation was killed would count as installed.
    for information in glob.glob(os.path.join(folder, "lib*", "python*", "site-packages", "*.dist-info")):  # noqa: PTH118, PTH207
        if not os.path.exists(os.path.join(information, "RECORD")):  # noqa: PTH110, PTH118
            shutil.rmtree(information, ignore_errors=True)  # lib64 is a link to lib


def _works(python: str) -> bool:
    # An environment whose interpreter was removed or upgraded away is made anew.
    try:
        return subprocess.call([python, "-c", "import pip"], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
