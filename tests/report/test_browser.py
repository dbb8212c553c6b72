"""Reports in a real browser: nothing runs, nothing overflows; readable in light, in dark and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fallline.report import write_report
from tests.report.make_run import HOSTILE
from tests.report.make_story import pages_of
from tests.serve.browser import Browser, chromium

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser")]

PAGES = pages_of()
# Alerts would show that something of a name was run; the frame is the only place where a script of ours is.
_WATCH = "window.alert = () => { document.title = 'ALERT'; };"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One window for all tests: starting it takes seconds."""
    driver = chromium(tmp_path_factory.mktemp("profile"))
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})
    yield Browser(driver)
    driver.quit()


def opened(window: Browser, name: str, folder: Path) -> None:
    path = folder / "report.html"
    if not path.exists():
        write_report(PAGES[name], path)
    window.driver.get(path.as_uri())


@pytest.mark.parametrize("name", ["watched", "hostile story", "regression", "evaluation", "hostile search"])
def test_everybody_can_read_it_and_nothing_runs(window: Browser, tmp_path: Path, name: str) -> None:
    for dark, width in ((False, 1200), (True, 1200), (False, 390)):
        window.look(dark=dark, width=width)
        opened(window, name, tmp_path)
        assert window.run("return document.documentElement.scrollWidth") <= width, "no scrolling to the side"
        assert window.run("return document.scripts.length") == 0
        assert window.driver.title != "ALERT"
        assert window.complaints() == [], "the policy inside the page forbids nothing that the page needs"
        assert window.inaccessible() == []


def test_hostile_names_are_seen_as_they_are(window: Browser, tmp_path: Path) -> None:
    window.look()
    opened(window, "hostile story", tmp_path)
    window.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    for text in (HOSTILE[0], HOSTILE[1], HOSTILE[2]):
        assert text in window.text
    assert window.all("main img, main script, main iframe") == []


def test_the_keyboard_reaches_the_report_its_parts_and_the_findings(window: Browser, tmp_path: Path) -> None:
    window.look()
    opened(window, "watched", tmp_path)
    body = window.find("body")
    body.send_keys("\ue004")  # tab
    assert window.run("return document.activeElement.className") == "skip"
    window.find(".skip").send_keys("\ue007")  # enter
    assert window.run("return document.activeElement.id") == "report"
    window.find('.glance a[href="#finding-1"]').send_keys("\ue007")
    assert window.run("return location.hash") == "#finding-1"
    assert window.run("return document.querySelector(':target h4').innerText").endswith("confidence 93\u202f%")
    window.find('nav a[href="#model"]').send_keys("\ue007")
    assert window.run("return document.querySelector(':target h2').innerText").endswith("Final model")


def test_on_paper_nothing_is_cut_off(window: Browser, tmp_path: Path) -> None:
    opened(window, "watched", tmp_path)
    window.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    window.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                  {"width": 718, "height": 1000, "deviceScaleFactor": 1, "mobile": False})  # fmt: skip
    wide = "return [...document.querySelectorAll('main svg, main table')].filter((e) => e.getBoundingClientRect().right"
    assert window.run(wide + " > document.documentElement.clientWidth + 1).length") == 0
    assert window.run("return getComputedStyle(document.querySelector('.contents')).display") == "none"
    window.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
