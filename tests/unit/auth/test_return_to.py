"""`return_to` is a path of this origin, whatever a browser makes of it."""

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.auth import is_safe_path


@pytest.mark.parametrize("target", ["/", "/profile", "/profile?tab=2&x=/y", "/a/b#c", "/a//b", "/%2f%2fevil", "/ä"])
def test_a_path_of_this_origin_is_accepted(target: str) -> None:
    assert is_safe_path(target)


def test_a_path_may_have_a_kilobyte() -> None:
    assert is_safe_path("/" + "a" * 1023)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "profile",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r\nSet-Cookie: a=b",
        "\t//evil.example",
        " //evil.example",
        "/ /evil.example",
        "https://evil.example/",
        "https:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "/\x00/evil",
        "/\x7f",
        "/" + "a" * 2000,
        "/\ud800",
        # It is kept in a cookie, which has to fit.
        "/" + "a" * 1024,
        "/" + "ä" * 600,
    ],
)
def test_anything_else_is_refused(target: str) -> None:
    assert not is_safe_path(target)


@given(st.text(st.sampled_from("/\\.:@?#%\t\n\r evil\x00ahtps"), max_size=12))
def test_what_is_accepted_stays_on_this_origin_for_a_browser(target: str) -> None:
    if is_safe_path(target):
        # As the WHATWG URL standard has it: tabs and line ends are dropped, a backslash is a slash.
        as_read = "".join(character for character in target if character not in "\t\n\r").replace("\\", "/")
        assert urlsplit(urljoin("https://app.example/", as_read.strip())).netloc == "app.example"
