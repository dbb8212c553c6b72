"""A headless Chromium, where there is one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chromium import MISSING
from benchmarks.chromium import chromium as start

__all__ = ["Browser", "chromium"]

_PATIENCE = 60.0


def chromium(profile: Path) -> Any:
    """Start a Chromium with an empty profile; skip the test where none is installed."""
    return start(profile) or pytest.skip(MISSING)


class Browser:
    """What the tests do in a browser.

    Args:
        driver: Selenium's.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, address: str) -> None:
        """Load a page, and wait until its script has filled it."""
        self.driver.get(address)
        self.ready()

    def ready(self) -> None:
        """Wait until the page's script has filled it."""
        self.until(lambda: self.run("return document.getElementById('content')?.dataset.ready === 'yes'"))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> Any:
        """Return the first element."""
        from selenium.webdriver.common.by import By

        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[Any]:
        """Return all elements."""
        from selenium.webdriver.common.by import By

        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    @property
    def text(self) -> str:
        """What a person can read."""
        return str(self.run("return document.body.innerText"))

    def until(self, condition: Callable[[], Any], seconds: float = _PATIENCE) -> None:
        """Wait for something; show the page where it does not come."""
        from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if condition():
                    return
            except (NoSuchElementException, StaleElementReferenceException):
                pass  # the page is being rebuilt
            time.sleep(0.1)
        raise AssertionError(f"it did not come to pass; the page says:\n{self.text}")

    def look(self, *, dark: bool = False, width: int = 1280) -> None:
        """Choose the colours and the width of the screen."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)

    def complaints(self) -> list[str]:
        """Return what the browser complained about since last asked: errors, and what the policy forbade."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def inaccessible(self) -> list[str]:
        """Return what axe-core finds wrong, one line each."""
        import axe_core_python

        script = Path(axe_core_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
        self.driver.execute_script(script)
        found = self.driver.execute_async_script(
            "const done = arguments[0];"
            "axe.run().then((r) => done(r.violations), (e) => done([{id: String(e), nodes: []}]))"
        )
        return [
            f"{one['id']}: {one.get('help', '')}: {[node['html'][:160] for node in one['nodes'][:3]]}" for one in found
        ]
