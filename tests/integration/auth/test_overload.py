"""A request that is one too many gets the app's page, with every security header, and the others their answers."""

from concurrent.futures import ThreadPoolExecutor

from app.settings import load_settings
from app.web.headers import security_headers
from tests.integration.browser import AppBrowser, heading_of, until
from tests.integration.conftest import MakeApp, MakeBrowser
from tests.servers.app import CALLBACK, SECRET


def test_one_request_too_many_is_a_503_page_with_every_header(make_app: MakeApp, new_browser: MakeBrowser) -> None:
    app = make_app(SERVER_CONCURRENCY="2")
    browser, slow = new_browser(app), [AppBrowser(app), AppBrowser(app)]
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(one.get, "/tests/slow/6.0") for one in slow]
        answer = until(lambda: browser.get("/"), lambda answer: answer.status_code == 503)
        assert [one.result().status_code for one in waiting] == [200, 200]
    for one in slow:
        one.http.close()

    assert heading_of(answer) == "Not available"
    assert answer.headers["retry-after"] == "1"
    settings = load_settings(
        {
            "AUTH0_DOMAIN": app.provider.domain,
            "AUTH0_CLIENT_ID": "c",
            "AUTH0_CLIENT_SECRET": "s",
            "AUTH0_SECRET": SECRET,
            "AUTH0_REDIRECT_URI": CALLBACK,
            "SESSION_BACKEND": "cookie",
        }
    )
    expected = security_headers(settings)
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert heading_of(browser.get("/")) == "Welcome!"
