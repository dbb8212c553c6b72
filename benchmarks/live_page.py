"""The live page with many runs: ``python -m benchmarks.live_page [--runs 1000] [--epochs 1000]``.

Writes so many finished runs, serves them by ``fallline serve`` and looks at them in a headless Chromium: seconds until
the list stands, and milliseconds between the frames while the list is scrolled, searched and sorted, and while twenty
runs are compared. Writes ``results/live-page.json``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.chromium import MISSING, chromium
from benchmarks.results_file import describe_machine, describe_versions

__all__ = ["main"]

_RESULTS = Path(__file__).parent / "results"
COMPARED = 20
# At 60 frames a second one takes 17 ms; from 50 ms on a person sees it stutter.
STUTTER = 50.0

# Calls act() in every frame for some seconds; gives the milliseconds between frames.
_FRAMES = """
const done = arguments[arguments.length - 1], seconds = arguments[1], act = new Function("t", arguments[0]);
const gaps = []; let last = 0, first = 0;
function frame(now) {
  if (last) gaps.push(now - last); else first = now;
  last = now;
  act((now - first) / 1000);
  if (now - first < 1000 * seconds) requestAnimationFrame(frame); else done(gaps);
}
requestAnimationFrame(frame);
"""
_ACTIONS = {
    "scrolled": "scrollTo(0, (t * 4000) % (document.body.scrollHeight - innerHeight))",
    "searched": "const s = document.querySelector('#search'); s.value = String(Math.floor(t * 3)); "
    "s.dispatchEvent(new Event('input', { bubbles: true }))",
    "sorted": "const b = [...document.querySelectorAll('button.sort')]; const n = Math.floor(t * 2) % b.length; "
    "if (window.pressed !== n) { window.pressed = n; b[n].click(); }",
}
_POINTED = """
const charts = [...document.querySelectorAll('.chart svg')].slice(0, 1);
for (const svg of charts) {
  const box = svg.getBoundingClientRect();
  svg.dispatchEvent(new PointerEvent('pointermove', {
    bubbles: true, clientX: box.left + box.width * (0.1 + 0.8 * (t % 1)), clientY: box.top + box.height / 2 }));
}
"""


def write_runs(root: Path, count: int, epochs: int) -> None:
    """Write so many runs; they differ in name only, for what is measured is their number."""
    from fallline.recipe import default
    from fallline.store import save_run
    from fallline.types import Run, Score, Trace

    rng = np.random.default_rng(0)
    e = np.arange(1, epochs + 1)
    columns: dict[str, list[Any]] = {"member": [], "epoch": [], "layer": [], "quantity": [], "value": []}
    for name, level in (("running_loss", 0.05), ("loss", 0.0), ("val_loss", 0.1)):
        columns["member"] += [0] * epochs
        columns["epoch"] += e.tolist()
        columns["layer"] += [""] * epochs
        columns["quantity"] += [name] * epochs
        columns["value"] += (level + np.exp(-e / 100) + 0.01 * rng.normal(size=epochs)).tolist()
    run = Run(
        model=None, trace=Trace.from_columns(columns), outcome="completed", recipe=default("simple"),
        facts={"kind": "binary", "target_names": ["ill"], "source": "patients.csv", "seconds": 1.5},
        scores=(Score("log_loss", 0.3, 0.2, 0.4, n=40),),
    )  # fmt: skip
    save_run(run, root / "run-0")
    for i in range(1, count):
        shutil.copytree(root / "run-0", root / f"run-{i}")


@contextmanager
def served(root: Path) -> Iterator[str]:
    """Serve the runs; yield the link that opens the page."""
    command = [sys.executable, "-u", "-m", "fallline", "serve", str(root), "--port", "0", "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root.parent) as process:
        assert process.stdout is not None
        words = (word for line in process.stdout for word in line.split())
        try:
            yield next(word for word in words if word.startswith("http://") and "token=" in word)
        finally:
            process.terminate()


def _frames(driver: Any, action: str, seconds: float) -> dict[str, float]:
    gaps = driver.execute_async_script(_FRAMES, action, seconds)
    return {
        "median_ms": round(statistics.median(gaps), 1),
        "share_that_stutters": round(sum(gap > STUTTER for gap in gaps) / len(gaps), 4),
        "longest_ms": round(max(gaps), 1),
    }


def _wait(driver: Any, condition: str, seconds: float = 60.0) -> float:
    """Return how long it took until the script says true."""
    began = time.perf_counter()
    while not driver.execute_script(f"return {condition}"):
        if time.perf_counter() - began > seconds:
            raise TimeoutError(f"after {seconds:g} s still not: {condition}")
        time.sleep(0.01)
    return time.perf_counter() - began


def measure(driver: Any, link: str, runs: int, seconds: float) -> dict[str, Any]:
    """Open the list and the comparison, and act on them."""
    driver.set_script_timeout(60)
    began = time.perf_counter()
    driver.get(link)
    _wait(driver, f"document.querySelectorAll('.runs tbody tr').length === {runs}")
    found: dict[str, Any] = {"first_list_s": round(time.perf_counter() - began, 3)}
    began = time.perf_counter()
    driver.refresh()
    _wait(driver, f"document.querySelectorAll('.runs tbody tr').length === {runs}")
    found["list_again_s"] = round(time.perf_counter() - began, 3)
    _wait(driver, "document.querySelectorAll('.spark .line').length > 10")
    for name, action in _ACTIONS.items():
        found[name] = _frames(driver, action, seconds)
    origin = driver.current_url.rstrip("/")
    began = time.perf_counter()
    driver.get(f"{origin}/compare?{'&'.join(f'run=run-{i}' for i in range(COMPARED))}")
    _wait(driver, "document.querySelector('.chart svg') !== null")
    found[f"compare_{COMPARED}_s"] = round(time.perf_counter() - began, 3)
    found["pointed_at"] = _frames(driver, _POINTED, seconds)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the figures; say so where there is no browser."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_page", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each action (default 5)")
    parser.add_argument("--out", type=Path, default=_RESULTS, help="folder of the result")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        driver = chromium(Path(folder, "profile"))
        if driver is None:
            print(f"skipped: {MISSING}")
            return 0
        try:
            root = Path(folder, "runs")
            root.mkdir()
            write_runs(root, given.runs, given.epochs)
            with served(root) as link:
                found = measure(driver, link, given.runs, given.seconds)
        finally:
            driver.quit()
    told = {"runs": given.runs, "epochs": given.epochs, "figures": found}
    print(json.dumps(told, indent=1))
    machine = {"machine": describe_machine(), "versions": describe_versions()}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "live-page.json").write_text(json.dumps(told | machine, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
