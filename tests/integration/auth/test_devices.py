"""A user's sessions, asked for and ended by whoever a page lets: nobody has any, and ends none."""

from collections.abc import Iterator

import pytest
from flask import Flask

from app import create_app
from app.auth import devices, end_all_devices, end_device
from app.auth.events import logged_out
from app.server import LoopFlask, await_
from app.settings import Settings
from tests.servers.redis import RedisServer
from tests.unit.browsing import allow_sign_in, client_of, sign_in


@pytest.fixture
def app(variables: dict[str, str], backend: str, session_redis: RedisServer) -> Iterator[LoopFlask]:
    redis = {"SESSION_BACKEND": "redis", "REDIS_URL": session_redis.url} if backend == "redis" else {}
    app = create_app(Settings.model_validate({name.lower(): value for name, value in (variables | redis).items()}))
    allow_sign_in(app)

    @app.get("/devices")
    async def listed() -> list[str]:
        return [device.name for device in await devices()]

    @app.post("/end/<name>")
    async def end(name: str) -> dict[str, bool]:
        return {"ended": await end_device(name)}

    @app.post("/end")
    async def end_all() -> dict[str, int]:
        return {"ended": await end_all_devices()}

    yield app
    if backend == "redis":
        await_(app.extensions["session_store"].close())


def test_who_is_not_signed_in_has_no_devices_and_ends_none(app: LoopFlask, backend: str) -> None:
    # Others keep their Jane in the same Redis.
    nina, nobody = client_of(app), client_of(app)
    sign_in(nina, "Nina")
    names = nina.get("/devices").get_json()
    assert len(names) == (backend == "redis")
    told: list[tuple[str, int, str | None]] = []

    def note(_app: Flask, *, kind: str, sessions: int, user: str | None) -> None:
        told.append((kind, sessions, user))

    with logged_out.connected_to(note, sender=app):
        assert nobody.get("/devices").get_json() == []
        for name in [*names, "unknown"]:
            assert nobody.post(f"/end/{name}").get_json() == {"ended": False}
        assert nobody.post("/end").get_json() == {"ended": 0}
    assert {(sessions, user) for _kind, sessions, user in told} == {(0, None)}
    assert nina.get("/devices").get_json() == names


@pytest.mark.parametrize("backend", ["redis"])
def test_a_device_is_ended_once_and_by_its_user_alone(app: LoopFlask) -> None:
    here, there, nils = client_of(app), client_of(app), client_of(app)
    sign_in(here, "Nora")
    [name] = here.get("/devices").get_json()
    sign_in(there, "Nora")
    sign_in(nils, "Nils")
    assert nils.post(f"/end/{name}").get_json() == {"ended": False}
    assert len(there.get("/devices").get_json()) == 2
    assert [there.post(f"/end/{name}").get_json() for _ in range(2)] == [{"ended": True}, {"ended": False}]
    assert here.get("/devices").get_json() == []
    assert len(there.get("/devices").get_json()) == 1
