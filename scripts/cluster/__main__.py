"""`python -m scripts.cluster`: a node until Ctrl-C, and how to use it."""

import signal
import sys

from scripts import chart_tools
from scripts.processes import CalledOff, Processes

from .errors import ClusterError
from .node import KUBECTL, node


def main() -> int:
    """Run it; 1 with a sentence when it cannot be."""
    try:
        chart_tools.install()
        # So that a signal ends the block, and with it the node.
        with Processes(), node() as running:
            print(f"export KUBECONFIG={running.kubeconfig} PATH={KUBECTL.parent}:$PATH", flush=True)
            signal.pause()
    except (ClusterError, chart_tools.InstallationError) as error:
        print(error, file=sys.stderr)
        return 1
    except CalledOff:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
