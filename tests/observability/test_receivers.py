"""The receivers as deploy/alertmanager has them: what arrives, at the address that the operator's file has."""

from pathlib import Path

import httpx
import yaml

from tests.integration.browser import until
from tests.observability.shortened import shortened
from tests.servers.alertmanager import CONFIGURATION, alertmanager, told

MOUNTED = "/run/secrets"


def test_a_message_says_what_happens_and_where_to_read_what_to_do(tmp_path: Path) -> None:
    text = CONFIGURATION.read_text(encoding="utf-8").replace(f"{MOUNTED}/", f"{tmp_path}/")
    with told() as people:
        for name in ("page", "ticket"):
            (tmp_path / name).write_text(f"{people.url}/{name}\n")
        with alertmanager(tmp_path / "alertmanager", shortened(yaml.safe_load(text), 60)) as address:
            alerts = [
                {
                    "labels": {"alertname": name, "severity": severity},
                    "annotations": {"summary": f"{name} happens.", "runbook_url": f"docs/runbook.md#{name.lower()}"},
                }
                for name, severity in (("RedisDown", "page"), ("WorkersCrashing", "ticket"), ("Quiet", "none"))
            ]
            httpx.post(f"http://{address}/api/v2/alerts", json=alerts, timeout=30, trust_env=False).raise_for_status()
            until(lambda: len(people.bodies), lambda count: count >= 2)
    messages = {path: body["attachments"][0] for path, body in people.bodies}
    assert set(messages) == {"/page", "/ticket"}
    assert messages["/page"]["title"] == "RedisDown"
    assert messages["/page"]["text"].strip() == "RedisDown happens. docs/runbook.md#redisdown"
    assert messages["/ticket"]["title"] == "WorkersCrashing"


def test_without_the_operators_file_the_log_says_which_one_is_missing(tmp_path: Path) -> None:
    text = CONFIGURATION.read_text(encoding="utf-8").replace(f"{MOUNTED}/", f"{tmp_path}/")
    log = tmp_path / "alertmanager" / "log"
    with alertmanager(tmp_path / "alertmanager", shortened(yaml.safe_load(text), 60)) as address:
        alert = {"labels": {"alertname": "RedisDown", "severity": "page"}}
        httpx.post(f"http://{address}/api/v2/alerts", json=[alert], timeout=30, trust_env=False).raise_for_status()
        until(log.read_text, lambda said: f"open {tmp_path}/page: no such file or directory" in said)


def test_a_cause_keeps_quiet_what_its_own_release_suffers_and_no_other_ones(tmp_path: Path) -> None:
    document = shortened(yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8")), 60)
    with told() as people:
        for receiver in document["receivers"]:
            if receiver.pop("slack_configs", None):
                receiver["webhook_configs"] = [{"url": f"{people.url}/{receiver['name']}"}]
        with alertmanager(tmp_path / "alertmanager", document) as address:
            pages = {"alertname": "PagesFailing", "severity": "page", "slo": "pages-availability"}
            store = {"alertname": "SessionStoreCircuitOpen", "severity": "page", "explains": "pages"}
            down = {"alertname": "RedisDown", "severity": "page", "explains": "pages"}
            shop, preview = ({"job": job, "namespace": "web"} for job in ("shop", "preview"))
            labels = [down | shop, pages | shop, store | shop, pages | preview, store | preview | {"namespace": "dev"}]
            alerts = [{"labels": each} for each in labels]
            httpx.post(f"http://{address}/api/v2/alerts", json=alerts, timeout=30, trust_env=False).raise_for_status()
            until(lambda: len(people.messages), lambda count: count >= 3)
            # Whoever is kept quiet is so at the same moment, and is asked for in place of waiting.
            asked = httpx.get(
                f"http://{address}/api/v2/alerts", params={"inhibited": "true", "active": "false"}, trust_env=False
            )
            quiet = [alert["labels"] for alert in asked.json()]
    assert {(said.labels["alertname"], said.labels["job"]) for said in people.messages} == {
        ("RedisDown", "shop"),
        ("PagesFailing", "preview"),
        ("SessionStoreCircuitOpen", "preview"),
    }
    assert sorted(alert["alertname"] for alert in quiet) == ["PagesFailing", "SessionStoreCircuitOpen"]
