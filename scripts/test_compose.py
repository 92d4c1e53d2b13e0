"""Run the suites that need a container engine: `python -m scripts.test_compose [pytest arguments]`.

One engine serves both, the machine's or a private one; the images that they need are there before the first test.
"""

import os
import sys

from scripts import test
from scripts.containers import bases
from scripts.containers.client import EngineError
from scripts.containers.engine import engine
from scripts.processes import Processes


def main(arguments: list[str]) -> int:
    """Set up, run, report; 1 when anything failed, was skipped, or could not run."""
    python = sys.executable
    with Processes() as processes:
        for name, script in (("Packages", "scripts/packages.py"), ("Node.js", "scripts/node.py")):
            if test.run(processes, name, [python, script]):
                return 1
        try:
            with engine() as client:
                os.environ.update({**client.environment, **bases.ensure(client)})
                pytest = [python, "-m", "pytest", "--durations=5"]
                suites = {suite: [*pytest, f"tests/{suite}"] for suite in test.WITH_CONTAINERS}
                chosen = {"chosen": [*pytest, *arguments]}
                return test.conclude(*test.run_suites(processes, chosen if arguments else suites))
        except EngineError as error:
            print(error, file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
