"""Print docs/licences.md: what the app and the local identity provider are made of, under which licences.

`python -m scripts.licences`, in an environment with requirements/app.txt. Names are SPDX's. Needs no network: Python's
packages say it in their installed metadata, npm's in the lock.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
APP = ROOT / "requirements" / "app.txt"
IDENTITY = ROOT / "deploy" / "identity" / "package-lock.json"
# What may be used without asking anybody; another licence needs a person's look. The last two ask for the source of
# changes to the package itself, which is used unchanged.
ALLOWED = frozenset(
    ("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0", "LGPL-3.0-or-later", "MPL-2.0")
)
# Those whose metadata does not say it, or says it ambiguously ("BSD License"): from the licence text in the package.
KNOWN = {
    "async-timeout": "Apache-2.0",  # only installed below Python 3.11.3
    "flask-session": "BSD-3-Clause",
    "itsdangerous": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "protobuf": "BSD-3-Clause",
    "uvloop": "Apache-2.0 OR MIT",
}
CLASSIFIERS = {"License :: OSI Approved :: MIT License": "MIT"}
HEAD = """# Licences

Made by `make docs` from the locks: every package that the app and the local identity provider are made of. The tools
that only test or look at files are in neither. Python, Node.js, nginx, Redis and the images' Debian have their own.
"""


class UnknownLicenceError(Exception):
    """A package whose licence has to be looked up, as a sentence with the fix."""


@dataclass(frozen=True, order=True)
class Part:
    """A package, the version that is locked, and its licence as SPDX has it."""

    name: str
    version: str
    licence: str

    @property
    def allowed(self) -> bool:
        """Whether one of its alternatives may be used, with all that it consists of."""
        alternatives = self.licence.strip("()").split(" OR ")
        return any(ALLOWED.issuperset(alternative.split(" AND ")) for alternative in alternatives)


def app(lock: str) -> Iterator[Part]:
    """The packages of a lock of requirements/. Raises UnknownLicenceError."""
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock, re.MULTILINE):
        yield Part(name, version, KNOWN.get(name) or _stated(name))


def _stated(name: str) -> str:
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        raise UnknownLicenceError(f"{name} is not installed here: look its licence up and add it to KNOWN.") from None
    # Of the older field only a name is believed: some packages put their whole text there.
    stated = [*(said.get_all("License-Expression") or ()), *ALLOWED.intersection(said.get_all("License") or ())]
    stated += [CLASSIFIERS[line] for line in said.get_all("Classifier") or () if line in CLASSIFIERS]
    if stated:
        return str(stated[0])
    raise UnknownLicenceError(f"{name} does not say its licence: look it up and add it to KNOWN.")


def identity(lock: str) -> Iterator[Part]:
    """The packages of an npm lock, each version once. Raises UnknownLicenceError."""
    for path, package in json.loads(lock)["packages"].items():
        name = path.rpartition("node_modules/")[2]
        if name and not package.get("dev"):
            if "license" not in package:
                raise UnknownLicenceError(f"{name} does not say its licence: look it up and add it to KNOWN.")
            yield Part(name, package["version"], package["license"])


def markdown() -> str:
    """The page. Raises UnknownLicenceError."""
    tables = {
        "The app": app(APP.read_text(encoding="utf-8")),
        "The local identity provider": identity(IDENTITY.read_text(encoding="utf-8")),
    }
    lines = [HEAD]
    for title, parts in tables.items():
        lines += [f"## {title}\n", "| package | version | licence |", "|---|---|---|"]
        lines += [f"| {part.name} | {part.version} | {part.licence} |" for part in sorted(set(parts))]
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Print the page; 1 with a sentence when a licence is not known."""
    try:
        print(markdown(), end="")
    except UnknownLicenceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
