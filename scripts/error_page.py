"""Put the app's look into nginx's error page, its hash into the page's policy: `python scripts/error_page.py`.

nginx shows the page when the app is down, so the page can refer to no file of the app; a policy without `unsafe-inline`
admits the style by its hash. Run it after a change of the stylesheet or the icon; a test says when that was forgotten.
"""

import base64
import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STYLESHEET = ROOT / "app/web/static/style.css"
ICON = ROOT / "app/web/static/icon.svg"
PAGE = ROOT / "nginx/errors/error.html"
POLICY = ROOT / "nginx/snippets/errors.conf"


def page(template: str) -> str:
    """The page with the stylesheet as the content of its style element, and with the icon."""
    icon = ICON.read_text().strip().replace("<svg ", '<svg width="28" height="28" aria-hidden="true" ', 1)
    template = re.sub(r"(?s)<style>.*</style>", lambda _: f"<style>{STYLESHEET.read_text()}</style>", template)
    return re.sub(r"(?s)<svg.*</svg>", lambda _: icon, template)


def policy(template: str) -> str:
    """The snippet with the hash of the stylesheet (CSP level 3, `style-src`)."""
    digest = base64.b64encode(hashlib.sha256(STYLESHEET.read_bytes()).digest()).decode()
    return re.sub(r"'sha256-[^']*'", f"'sha256-{digest}'", template)


def main() -> None:
    """Write both files."""
    for path, render in ((PAGE, page), (POLICY, policy)):
        path.write_text(render(path.read_text()))


if __name__ == "__main__":
    main()
