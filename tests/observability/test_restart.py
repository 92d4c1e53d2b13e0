"""What the rules make of it that Prometheus itself was away."""

import time
from pathlib import Path

from tests.servers.prometheus import configuration, prometheus

OBJECTIVE = '{slo="pages-availability"}'
STANDS_FOR = f"slo:seconds_between_samples{OBJECTIVE}"


def test_a_sample_stands_for_no_more_time_than_there_was_and_not_for_the_time_without_any(tmp_path: Path) -> None:
    document = configuration({}, interval="100ms")
    begun = time.time()
    with prometheus(tmp_path, document) as server:
        server.wait_for(f"count_over_time({STANDS_FOR}[5m]) >= 3")
        highest = server.value(f"max_over_time({STANDS_FOR}[5m])")
        samples = server.value(f"count_over_time(slo:error_budget:ratio{OBJECTIVE}[5m])")
        assert 0 < server.value(STANDS_FOR) * (samples - 1) <= time.time() - begun
    # Its absence is what this is about: several times as long as from one sample to the next.
    time.sleep(max(1, 3 * highest))
    restarted = time.time()
    with prometheus(tmp_path, document) as server:
        server.wait_for(f"timestamp({STANDS_FOR}) > {restarted}")
        assert server.value(f"max_over_time({STANDS_FOR}[5m])") <= highest
