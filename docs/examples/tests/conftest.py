"""The fixtures of app.testing, for the pages of the example."""

import pytest

pytest_plugins = ["app.testing"]


@pytest.fixture
def app_variables(app_variables: dict[str, str]) -> dict[str, str]:
    """The app with the example's pages."""
    return app_variables | {"APP_PAGES": "pages"}
