"""The numbers of nginx, of Redis and of the certificate, as deploy/prometheus/prometheus.yml has them scraped."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from cryptography import x509

from scripts.stack.prepare import EXPORTER_COMMANDS
from tests.servers.certificates import authority
from tests.servers.exporters import blackbox_exporter, nginx_exporter, redis_exporter
from tests.servers.nginx import Nginx, Pair, nginx
from tests.servers.prometheus import Prometheus, configuration, prometheus
from tests.servers.redis import RedisServer, redis_server

PASSWORD = "the-exporters-own-password"
NAME = "app.example.com"


@dataclass
class Scraped:
    """A Prometheus, and what it is told of."""

    prometheus: Prometheus
    nginx: Nginx
    redis: RedisServer
    pair: Pair


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """nginx with the name NAME alone, and Redis with a user for the exporter."""
    folder = tmp_path_factory.mktemp("scraped")
    pair = authority(folder / "certificates", permitted=[NAME]).issue([NAME])
    with (
        nginx(pair, upstream="127.0.0.1:1", start=False) as server,
        redis_server(tmp_path_factory.mktemp("redis")) as store,
        blackbox_exporter(folder) as blackbox,
    ):
        status = server.folder / "status.sock"
        server.variables |= {"NGINX_STATUS_SOCKET": str(status), "NGINX_SERVER_NAMES": NAME}
        server.start()
        store.client.execute_command("ACL", "SETUSER", "exporter", "on", f">{PASSWORD}", *EXPORTER_COMMANDS.split())
        with (
            nginx_exporter(folder, f"unix:{status}:/status") as of_nginx,
            redis_exporter(folder, store.url, "exporter", PASSWORD) as of_redis,
        ):
            document = configuration({"nginx": [of_nginx], "redis": [of_redis]}, blackbox=blackbox)
            document["scrape_configs"] += configuration({"certificate": []}, blackbox=blackbox)["scrape_configs"]
            document["scrape_configs"][-1]["static_configs"] = [
                {"targets": [f"127.0.0.1:{server.https_port}"], "labels": {"__param_hostname": NAME}}
            ]
            with prometheus(folder / "prometheus", document) as running:
                yield Scraped(running, server, store, pair)


def end(pair: Pair) -> float:
    """When the certificate ends, as a Unix time."""
    return x509.load_pem_x509_certificate(pair[0].read_bytes()).not_valid_after_utc.timestamp()


def test_nginx_tells_its_requests_and_connections_through_a_socket_of_its_own(scraped: Scraped) -> None:
    scraped.prometheus.wait_for("nginx_up == 1")
    scraped.prometheus.wait_for("nginx_http_requests_total > 0")
    assert scraped.prometheus.value("nginx_connections_active") >= 1


def test_redis_tells_what_it_uses_to_a_user_who_may_do_nothing_else(scraped: Scraped) -> None:
    scraped.redis.client.set("session:a", "secret")
    scraped.prometheus.wait_for("redis_up == 1")
    scraped.prometheus.wait_for('redis_db_keys{db="db0"} == 1')
    scraped.prometheus.wait_for("redis_memory_used_bytes > 0")
    assert scraped.prometheus.value('redis_exporter_last_scrape_error{err=""}') == 0
    as_exporter = redis.Redis(
        unix_socket_path=str(scraped.redis.folder / "redis.sock"), username="exporter", password=PASSWORD
    )
    for command in (("GET", "session:a"), ("KEYS", "*"), ("CONFIG", "GET", "*"), ("SLOWLOG", "GET"), ("FLUSHALL",)):
        with pytest.raises(redis.exceptions.NoPermissionError):
            as_exporter.execute_command(*command)
    as_exporter.close()


def test_the_certificate_that_nginx_shows_is_the_one_whose_end_is_told(scraped: Scraped) -> None:
    scraped.prometheus.wait_for("nginx_probe_success == 1")
    assert scraped.prometheus.value("nginx_certificate_not_after_seconds") == end(scraped.pair)
    names = scraped.prometheus.label_values("__name__", '{job="certificate"}')
    assert [name for name in names if name.startswith("probe_")] == []


def test_a_renewed_certificate_is_told_when_nginx_shows_it(scraped: Scraped, tmp_path: Path) -> None:
    scraped.prometheus.wait_for(f"nginx_certificate_not_after_seconds == {end(scraped.pair)}")
    # They end on a second, which two that are made in a row may share.
    others = (authority(tmp_path / str(number), permitted=[NAME]).issue([NAME]) for number in itertools.count())
    other = next(pair for pair in others if end(pair) != end(scraped.pair))
    scraped.nginx.certify(other)
    scraped.nginx.reload()
    scraped.prometheus.wait_for(f"nginx_certificate_not_after_seconds == {end(other)}")
