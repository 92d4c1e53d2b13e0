"""The page of licences: complete, fresh, and none among them that needs a person's look."""

from importlib import metadata
from pathlib import Path

import pytest

from scripts import licences
from scripts.licences import Part, UnknownLicenceError

ROOT = Path(__file__).parents[2]


def test_the_page_is_fresh() -> None:
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    assert page == licences.markdown(), "docs/licences.md is stale: run `make docs`"


def test_every_licence_is_one_that_is_allowed() -> None:
    parts = [*licences.app(licences.APP.read_text()), *licences.identity(licences.IDENTITY.read_text())]
    assert len(parts) > 60
    assert [part for part in parts if not part.allowed] == []


def test_the_locked_versions_are_those_whose_metadata_was_read() -> None:
    for part in licences.app(licences.APP.read_text()):
        if part.name not in licences.KNOWN:
            assert metadata.version(part.name) == part.version


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 AND BSD-2-Clause", True),
        ("GPL-3.0-only OR MIT", True),
        ("(MIT OR GPL-3.0-only)", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("AGPL-3.0-or-later", False),
        ("UNLICENSED", False),
    ],
)
def test_an_expression_is_allowed_when_one_way_to_read_it_is(licence: str, allowed: bool) -> None:
    assert Part("package", "1.0", licence).allowed == allowed


def test_a_package_without_a_known_licence_is_named_with_the_fix() -> None:
    with pytest.raises(UnknownLicenceError, match="no-such-package is not installed here: look its licence up"):
        list(licences.app("no-such-package==1.0 \\\n    --hash=sha256:00\n"))
    with pytest.raises(UnknownLicenceError, match="left-pad does not say its licence"):
        list(licences.identity('{"packages": {"": {}, "node_modules/left-pad": {"version": "1.0.0"}}}'))


def test_what_is_only_for_development_is_not_listed() -> None:
    lock = '{"packages": {"": {}, "node_modules/a": {"version": "1.0.0", "dev": true, "license": "GPL-3.0-only"}}}'
    assert list(licences.identity(lock)) == []
