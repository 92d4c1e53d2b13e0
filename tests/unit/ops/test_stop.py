"""The last counts are there in time."""

import asyncio
import socket

from prometheus_client import CollectorRegistry

from app import create_app
from app.settings import Settings
from tests.unit.server.client import on_a_loop, served, until


def test_a_collector_that_hangs_does_not_hold_up_the_last_counts(variables: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        endpoint = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        given = {**variables, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        app = create_app(Settings.model_validate({name.lower(): value for name, value in given.items()}))
        registry: CollectorRegistry = app.extensions["metrics"].registry

        @on_a_loop
        async def stop() -> None:
            serving = served(app)
            client = await serving.__aenter__()
            # Something to send.
            await client.get("/")
            app.stats.timed_out += 1
            stopping = asyncio.create_task(serving.__aexit__(None, None, None))
            await until(lambda: registry.get_sample_value("server_requests_timed_out_total"))
            assert not stopping.done()
            await stopping

        stop()
