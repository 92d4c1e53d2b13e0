"""A real Prometheus: `with prometheus(folder, configuration) as server: server.query("up")`."""

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.servers.ports import free_ports
from tests.servers.running import START_SECONDS, running, says_so

ROOT = Path(__file__).parents[2]
FILES = ROOT / "deploy" / "prometheus"
Series = list[dict[str, Any]]


def configuration(
    targets: Mapping[str, Sequence[str]], *, interval: str = "1s", alertmanagers: Sequence[str] = (), blackbox: str = ""
) -> dict[str, Any]:
    """deploy/prometheus/prometheus.yml with the *targets* of each job in place of compose's, asked every *interval*.

    Jobs without targets are left out. The rules are those of deploy/prometheus.

    :param blackbox: address of the exporter that probes, in place of compose's.
    """
    document: dict[str, Any] = yaml.safe_load((FILES / "prometheus.yml").read_text(encoding="utf-8"))
    document["global"] |= {"scrape_interval": interval, "evaluation_interval": interval, "scrape_timeout": interval}
    document["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]}
    document["rule_files"] = [str(FILES / pattern) for pattern in document.get("rule_files", [])]
    jobs = [job for job in document["scrape_configs"] if job["job_name"] in targets]
    for job in jobs:
        for discovery in [name for name in job if name.endswith("_sd_configs")]:
            del job[discovery]
        job.pop("scrape_interval", None)
        job["static_configs"] = [{"targets": list(targets[job["job_name"]])}]
        for rule in job.get("relabel_configs", []):
            if rule.get("replacement", "").startswith("blackbox:"):
                rule["replacement"] = blackbox
    document["scrape_configs"] = jobs
    return document


@dataclass
class Prometheus:
    """A running server; `http` starts at its own pages."""

    http: httpx.Client
    folder: Path
    process: "subprocess.Popen[bytes]"

    def query(self, expression: str, at: float | None = None) -> Series:
        """The samples of an instant query, now or at a Unix time. Raises AssertionError with Prometheus' words."""
        return list(self._get("query", query=expression, **({"time": at} if at else {}))["result"])

    def query_range(self, expression: str, start: float, end: float, step: float) -> Series:
        """The series of a query over a time. Raises AssertionError with Prometheus' words."""
        return list(self._get("query_range", query=expression, start=start, end=end, step=step)["result"])

    def value(self, expression: str) -> float:
        """The only sample of a query; 0 where there is none."""
        found = self.query(expression)
        assert len(found) <= 1, f"{expression} has {len(found)} samples"
        return float(found[0]["value"][1]) if found else 0.0

    def label_values(self, label: str, match: str) -> list[str]:
        """The values of *label* in the series that *match*."""
        return list(self._get(f"label/{label}/values", **{"match[]": match}))

    def groups(self) -> list[dict[str, Any]]:
        """The groups of rules, and how their evaluation went."""
        return list(self._get("rules")["groups"])

    def alerts(self) -> Series:
        """Pending and firing alerts."""
        return list(self._get("alerts")["alerts"])

    def wait_for(self, expression: str, seconds: float = START_SECONDS) -> Series:
        """Wait until a query has samples; its samples."""
        deadline = time.monotonic() + seconds
        while not (found := self.query(expression)):
            assert time.monotonic() < deadline, f"nothing for {expression}"
            time.sleep(0.1)
        return found

    @property
    def log(self) -> str:
        """What it said."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def _get(self, path: str, **parameters: Any) -> Any:
        answer = self.http.get(f"/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", f"{parameters}: {answer.get('error')}"
        return answer["data"]


@contextmanager
def prometheus(folder: Path, document: Mapping[str, Any]) -> Iterator[Prometheus]:
    """Run Prometheus on a free port with a configuration; what it keeps goes to *folder*."""
    program = shutil.which("prometheus")
    if program is None:
        raise RuntimeError("prometheus is missing: on Debian and Ubuntu, `apt-get install prometheus`.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(dict(document)), encoding="utf-8")
    [port] = free_ports(1)
    command = [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--web.enable-lifecycle"]
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False, verify=False) as http,
        running(command, folder / "log", lambda: says_so(http)) as process,
    ):
        yield Prometheus(http, folder, process)
