"""`python -m tests.observability.pictures`: run everything, use it for minutes, and take a picture of each dashboard.

Grafana draws them otherwise; the queries, limits, colours and words are the dashboards' own.
"""

import random
import sys
import tempfile
import threading
import time
from pathlib import Path

from scripts.certificates import authority
from scripts.dashboards import DASHBOARDS
from scripts.dashboards.model import Panel
from tests.observability import scene as scenes
from tests.observability.queries import Choice, filled
from tests.servers.chromium import chromium
from tests.servers.prometheus import Prometheus

from .draw import WIDTH, Series, page

ROOT = Path(__file__).resolve().parents[3]
IMAGES = ROOT / "docs" / "images"
MINUTES = 8
POINTS = 240
PAGES = ("/", "/profile", "/profile", "/tests/greeting", "/tests/kept", "/api-call")
MACHINE = Choice(namespace="", job="app|nginx|redis|certificate", instance=".*")
# What happens when, as a share of the time.
INCIDENTS = (
    (0.15, scenes.people_who_do_not_get_in),
    (0.25, scenes.tokens),
    (0.35, scenes.ways_out),
    (0.45, scenes.provider_trouble),
    (0.55, scenes.Scene.rotate_the_key),
    (0.65, scenes.tokens),
    (0.75, scenes.mistakes),
    (0.8, scenes.Scene.crash_a_worker),
    (0.9, scenes.ways_out),
)


def live(scene: scenes.Scene, seconds: float) -> None:
    """People come and go all the time; what goes wrong goes wrong at its time."""
    end = threading.Event()

    def come_and_go(number: int) -> None:
        dice = random.Random(number)
        name = dice.choice(sorted(scenes.PEOPLE))
        while not end.is_set():
            with scene.person() as browser:
                browser.sign_in_as(name, scenes.PEOPLE[name])
                for _ in range(dice.randrange(10, 60)):
                    browser.get(dice.choice(PAGES))
                    if end.wait(dice.expovariate(6)):
                        return
                browser.visit("/logout")

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    start = time.monotonic()
    for share, incident in INCIDENTS:
        end.wait(max(0.0, start + share * seconds - time.monotonic()))
        incident(scene)
    end.wait(max(0.0, start + seconds - time.monotonic()))
    end.set()
    for thread in threads:
        thread.join()


def answers(server: Prometheus, panel: Panel, start: float, end: float) -> list[Series]:
    """What the panel's queries come to: over the time, or at its end."""
    found = []
    for query, expression in panel.expressions.items():
        asked = filled(expression, MACHINE, interval="1m", over=f"{int(end - start)}s")
        if panel.instant:
            samples = [(one["metric"], [one["value"]]) for one in server.query(asked, end)]
        else:
            step = (end - start) / POINTS
            samples = [(one["metric"], one["values"]) for one in server.query_range(asked, start, end, step)]
        found += [
            Series(query, labels, [(float(when), float(value)) for when, value in points]) for labels, points in samples
        ]
    return found


def main() -> int:
    """Take the pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with scenes.scene(folder, AUTH0_TIMEOUT_SECONDS="3") as running:
            start = time.time()
            live(running, MINUTES * 60)
            end = time.time()
            with chromium(folder, authority(folder / "certificates")) as launch:
                browser = launch.browser()
                for dashboard in DASHBOARDS:
                    series = {panel.title: answers(running.prometheus, panel, start, end) for panel in dashboard.panels}
                    sheet = browser.new_page(viewport={"width": WIDTH, "height": 400}, device_scale_factor=1.25)
                    sheet.set_content(page(dashboard, series, start, end))
                    sheet.screenshot(path=IMAGES / f"dashboard-{dashboard.name}.png", full_page=True)
                browser.close()
    for image in sorted(IMAGES.glob("dashboard-*.png")):
        print(f"{image.relative_to(ROOT)}: {image.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
