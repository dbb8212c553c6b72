"""A headless Chromium for what is measured or tested in a browser."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

__all__ = ["MISSING", "chromium"]

MISSING = "no Chromium with chromedriver (Debian: apt-get install chromium chromium-driver) or no Selenium is installed"
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--window-size=1280,900",
)  # fmt: skip


def chromium(profile: Path) -> Any:
    """Start a Chromium with an empty profile; None where something for it is missing."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    try:
        from selenium import webdriver
    except ImportError:
        return None
    if program is None or driver is None:
        return None
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
