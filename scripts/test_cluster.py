"""Run the chart's tests on a real cluster: `python -m scripts.test_cluster [pytest arguments]`.

The cluster is the one that KUBECONFIG names, with a command in CLUSTER_LOAD that brings an archive of images into it,
or, as root on Debian, a node of its own. What takes long to build is there before the first test.
"""

import os
import sys

from scripts import chart_tools, test
from scripts.cluster import existing, images, programs
from scripts.cluster.errors import ClusterError
from scripts.processes import Processes


def main(arguments: list[str]) -> int:
    """Set up, run, report; 1 when anything failed, was skipped, or could not run."""
    python = sys.executable
    with Processes() as processes:
        if test.run(processes, "Packages", [python, "scripts/packages.py", "chromium", "libnss3-tools"]):
            return 1
        try:
            chart_tools.install()
            # What can be wrong is said before anything is built.
            if os.environ.get(existing.NAME):
                existing.check()
            else:
                programs.ensure()
            images.ensure()
        except (ClusterError, chart_tools.InstallationError) as error:
            print(error, file=sys.stderr)
            return 1
        pytest = [python, "-m", "pytest", "--durations=5", *(arguments or [f"tests/{test.ON_A_CLUSTER}"])]
        return test.conclude(*test.run_suites(processes, {test.ON_A_CLUSTER: pytest}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
