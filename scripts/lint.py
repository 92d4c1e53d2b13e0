"""Every check that only looks at files, one line each with its time; what a tool says follows where it fails.

`python scripts/lint.py`; the tools are those of the virtual environment beside the interpreter.
"""

import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Made by scripts/chart_tools.py.
ACTIONLINT = ROOT / ".local" / "chart" / "bin" / "actionlint"
SHELL = re.compile(rb"#!.*\b(ba|da)?sh\b")


def checks() -> Iterator[tuple[str, list[str]]]:
    """Each check's name and command. A tool with nothing to look at is left out."""
    yield "ruff check", ["ruff", "check", "."]
    yield "ruff format", ["ruff", "format", "--check", "."]
    yield "mypy --strict", ["mypy"]
    tools = {
        "shellcheck": (["shellcheck", "--external-sources"], [path for path in files() if _is_shell(path)]),
        "yamllint": (["yamllint", "--strict"], files("*.yml", "*.yaml", ".yamllint", ":!*/templates/*")),
        "hadolint": (["hadolint"], files("*Dockerfile", "*.Dockerfile")),
        "actionlint": ([str(ACTIONLINT)], files(".github/workflows/*.yml")),
        # Offline: whether a tag still means a commit is not for a check of files.
        "zizmor": (["zizmor", "--offline", "--quiet", "--no-progress"], files(".github/workflows/*.yml")),
        "renovate.json": (["check-jsonschema", "--builtin-schema", "vendor.renovate"], files("renovate.json")),
        "nginx -t and gixy": (["pytest", "-q"], files("tests/nginx/test_configuration.py")),
        "promtool and amtool": (["pytest", "-q"], files("tests/observability/test_rules.py")),
    }
    for name, (command, paths) in tools.items():
        if paths:
            yield name, [*command, *paths]
    yield "hosts and paths", [sys.executable, "scripts/addresses.py"]


def files(*patterns: str) -> list[str]:
    """Paths of tracked and of new files that match a pattern of Git's."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted({path for path in listed if path and (ROOT / path).is_file()})


def _is_shell(path: str) -> bool:
    if Path(path).suffix == ".sh":
        return True
    with (ROOT / path).open("rb") as file:
        return SHELL.match(file.readline(80)) is not None


def main() -> int:
    """Run all checks; 1 when one fails."""
    beside = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": f"{beside}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    failed = []
    for name, command in checks():
        start = time.monotonic()
        result = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        verdict = "FAILED" if result.returncode else "ok"
        print(f"{verdict:7} {name:20} {time.monotonic() - start:5.1f} s", flush=True)
        if result.returncode:
            failed.append(name)
            print(textwrap.indent(result.stdout.rstrip(), "        "), flush=True)
    if failed:
        print("\nFailed: " + ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
