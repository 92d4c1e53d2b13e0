"""What `make up` tells Compose, and whose a stack is."""

from pathlib import Path

import pytest

from scripts.stack import options, preflight
from scripts.stack.docker import Docker

SETTINGS = """\
AUTH0_CLIENT_SECRET=abc$behind
AUTH0_SECRET='abc${open'
AUTH0_PROXY_URL="http://user:$behind@proxy.example"
AUTH0_AUDIENCE=https://api.example/$scope#part
AUTH0_SCOPE='openid "profile"'
OTEL_SERVICE_NAME=caf\u00e9\r
EMPTY=
"""


@pytest.fixture
def chosen(tmp_path: Path) -> options.Options:
    """Those of a .env file as it may be."""
    path = tmp_path / "settings.env"
    path.write_text(SETTINGS, encoding="utf-8", newline="")
    return options.read({"ENV_FILE": str(path), "EMPTY": "", "HOME": "/nowhere"})


def test_compose_is_told_of_a_secret_only_that_there_is_one(chosen: options.Options) -> None:
    told = chosen.for_compose()
    secret = ("AUTH0_CLIENT_SECRET", "AUTH0_SECRET", "AUTH0_PROXY_URL")
    assert {told[name] for name in secret} == {"given"}
    assert not [name for name, value in told.items() if "behind" in value or "${" in value]
    assert "AUTH0_CLIENT_ASSERTION_KEY" not in told


def test_compose_is_told_exactly_what_the_app_would_read(chosen: options.Options) -> None:
    told = chosen.for_compose()
    assert told["AUTH0_AUDIENCE"] == "https://api.example/$scope#part"
    assert told["AUTH0_SCOPE"] == 'openid "profile"'
    assert told["OTEL_SERVICE_NAME"] == "caf\u00e9"
    assert told["HOME"] == "/nowhere"


@pytest.mark.parametrize("service", ["redis", "prometheus", "alertmanager", "blackbox", "grafana"])
def test_another_configuration_is_another_container(
    chosen: options.Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    monkeypatch.setattr(options, "ROOT", tmp_path)
    folder = tmp_path / "deploy" / service / "below"
    folder.mkdir(parents=True)
    found = []
    for text in ("one", "two", "one"):
        (folder / "file").write_text(text)
        found.append(chosen.for_compose()[f"{service.upper()}_CONFIGURATION"])
    assert found[0] == found[2] != found[1]
    if service == "redis":
        monkeypatch.setattr(options, "redis_users", lambda *digests: "others")
        assert chosen.for_compose()["REDIS_CONFIGURATION"] not in found


class Started(Docker):
    """A Docker whose containers are of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def folders(self) -> set[str]:
        """Where they were started."""
        return {str(self._folder)}


def test_a_stack_that_was_started_by_a_link_or_before_the_checkout_was_moved_is_this_ones(
    chosen: options.Options, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(options.ROOT)
    (tmp_path / "other").mkdir()
    for folder in (options.ROOT, tmp_path / "link", tmp_path / "other"):
        preflight.own(chosen, Started(folder))
    (tmp_path / "other" / "docker-compose.yml").touch()
    with pytest.raises(options.StackError, match=f"The stack auth0-flask is that of {tmp_path}/other: "):
        preflight.own(chosen, Started(tmp_path / "other"))
