"""`create_app`: what it refuses to start with."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from app import create_app
from app.settings import Settings, SettingsError


@pytest.fixture
def pages(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings whose pages are a module with the given attributes."""

    def with_pages(**attributes: Any) -> Settings:
        module = ModuleType("pages_under_test")
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, "pages_under_test", module)
        return settings.model_copy(update={"app_pages": "pages_under_test"})

    return with_pages


@pytest.mark.parametrize("name", ["no_such_module", "app.no_such_module", "no_such_package.pages"])
def test_pages_that_are_not_there_are_a_sentence(settings: Settings, name: str) -> None:
    with pytest.raises(SettingsError, match="APP_PAGES names a module that is not there"):
        create_app(settings.model_copy(update={"app_pages": name}))


def test_pages_without_init_app_are_a_sentence(pages: Callable[..., Settings]) -> None:
    with pytest.raises(
        SettingsError, match=r"APP_PAGES names the module pages_under_test, which has no init_app\(app\)"
    ):
        create_app(pages())


def test_pages_cannot_turn_secure_cookies_off_in_production(pages: Callable[..., Settings]) -> None:
    def init_app(app: Any) -> None:
        app.config["SESSION_COOKIE_SECURE"] = False

    with pytest.raises(RuntimeError, match="SESSION_COOKIE_SECURE"):
        create_app(pages(init_app=init_app))
