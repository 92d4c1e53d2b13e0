"""`python -m scripts.cluster`: a node until Ctrl-C, and how to use it; with `load ARCHIVE...`, images for it."""

import shlex
import signal
import sys
from pathlib import Path

from scripts import chart_tools
from scripts.processes import CalledOff, Processes

from .errors import ClusterError
from .node import KUBECTL, node, started

LOAD = "load"


def main(arguments: list[str]) -> int:
    """Run it; 1 with a sentence when it cannot be, 2 when it is asked for something else."""
    if arguments and (arguments[0] != LOAD or len(arguments) < 2):
        print(f"usage: python -m scripts.cluster [{LOAD} ARCHIVE...]", file=sys.stderr)
        return 2
    try:
        chart_tools.install()
        if arguments:
            started().load(*map(Path, arguments[1:]))
        else:
            _run()
    except (ClusterError, chart_tools.InstallationError) as error:
        print(error, file=sys.stderr)
        return 1
    except CalledOff:
        return 0
    return 0


def _run() -> None:
    # So that a signal ends the block, and with it the node.
    with Processes(), node() as here:
        load = shlex.join([sys.executable, "-m", "scripts.cluster", LOAD])
        print(
            f"export KUBECONFIG={here.kubeconfig} CLUSTER_LOAD={shlex.quote(load)} PATH={KUBECTL.parent}:$PATH",
            flush=True,
        )
        signal.pause()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
