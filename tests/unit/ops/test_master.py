"""What gunicorn's master tells of its workers."""

import os
import subprocess
import sys

from app.ops.metrics import Master


def values(master: Master) -> dict[str, float]:
    """Each sample without labels, by its name."""
    return {one.name: one.value for family in master.collect() for one in family.samples if not one.labels}


def test_a_worker_that_ends_while_it_is_looked_at_counts_nothing_and_the_others_do() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    running = values(Master(lambda: [os.getpid()], "1", "cookie"))
    found = values(Master(lambda: [os.getpid(), ended.pid], "1", "cookie"))
    assert found.keys() == running.keys()
    assert found["server_workers"] == 2
    assert found["server_worker_resident_bytes"] > 0
    assert found["server_cpu_seconds_total"] > 0
