"""Take the pictures of docs/images from the running demo, as a person would see it: `make screenshots`.

Looks best with the typeface Inter (on Debian and Ubuntu: fonts-inter), which stands for a desktop's own.
"""

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import ViewportSize

from scripts.certificates import authority
from tests.servers.chromium import chromium

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
ORIGIN = "https://localhost:8443"
SMALL: ViewportSize = {"width": 900, "height": 340}
LARGE: ViewportSize = {"width": 900, "height": 600}
_FONTS = """<?xml version="1.0"?>
<fontconfig>
  <alias binding="same"><family>system-ui</family><prefer><family>Inter</family></prefer></alias>
  <alias binding="same"><family>sans-serif</family><prefer><family>Inter</family></prefer></alias>
</fontconfig>
"""


@contextlib.contextmanager
def demo() -> Iterator[None]:
    """The running demo, on its usual ports: they are in the pictures."""
    command = [sys.executable, "-m", "scripts.demo"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            if not any(line.startswith("Ready") for line in process.stdout or ()):
                raise SystemExit("The demo did not start: see above.")
            yield
        finally:
            process.send_signal(signal.SIGINT)


def main() -> int:
    """Take the pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, demo():
        folder = Path(name)
        with chromium(folder, authority(ROOT / ".local" / "certificates")) as start:
            fonts = folder / "home" / ".config" / "fontconfig"
            fonts.mkdir(parents=True)
            (fonts / "fonts.conf").write_text(_FONTS)
            browser = start.browser()
            page = browser.new_page(viewport=SMALL, device_scale_factor=2)
            page.goto(ORIGIN)
            page.screenshot(path=IMAGES / "home.png")
            page.goto(f"{ORIGIN}/login?return_to=/profile")
            page.fill("[name=username]", "jane@example.com")
            page.fill("[name=password]", "correct-horse")
            page.keyboard.press("Enter")
            page.wait_for_url(f"{ORIGIN}/profile")
            page.set_viewport_size(LARGE)
            page.screenshot(path=IMAGES / "profile.png")
            page.emulate_media(color_scheme="dark")
            page.screenshot(path=IMAGES / "profile-dark.png")
            browser.close()
    for image in sorted(IMAGES.glob("*.png")):
        print(f"{image.relative_to(ROOT)}: {image.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
