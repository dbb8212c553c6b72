"""The live page in a real browser: what is seen, what is clicked, and what is forbidden."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from fallline.store import LiveWriter, RunFolder, save_run, write_start
from fallline.types import Progress
from tests.serve.browser import Browser, chromium
from tests.serve.conftest import EVIL, Page, run
from tests.serve.test_studies import journal, ledger

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One window for all tests: starting it takes seconds."""
    driver = chromium(tmp_path_factory.mktemp("profile"))
    yield Browser(driver)
    driver.quit()


@pytest.fixture
def browser(window: Browser, page: Page) -> Browser:
    """The window, let in to the page."""
    window.driver.delete_all_cookies()
    window.look()
    window.driver.get(page.link)
    window.until(lambda: window.driver.current_url.rstrip("/") == page.origin)
    window.ready()
    window.complaints()
    return window


def test_a_stranger_sees_a_closed_door(window: Browser, page: Page) -> None:
    window.driver.delete_all_cookies()
    window.driver.get(page.origin)
    assert "This page is closed" in window.text
    window.driver.get(f"{page.origin}/open?token=guessed")
    assert "This page is closed" in window.text
    assert "plain-1" not in window.text


def test_the_list_draws_sparklines_searches_sorts_and_follows_the_folder(browser: Browser, page: Page) -> None:
    browser.until(lambda: len(browser.all(".spark .line.val")) == 3)
    (page.root / "foreign").mkdir()
    (page.root / "foreign" / "notes.txt").write_text("mine")
    browser.until(lambda: "not a run folder" in browser.text)
    browser.find("#search").send_keys("wide")
    browser.until(lambda: len(browser.all(".runs tbody tr")) == 1)
    browser.find("#search").clear()
    browser.find("#search").send_keys(" ")
    browser.find('button[data-key="value"]').click()
    rows = browser.run("return [...document.querySelectorAll('.runs tbody tr')].map((r) => r.dataset.name)")
    assert rows.index("plain-1") < rows.index("plain-2")
    assert browser.find('th[aria-sort="ascending"]').text.startswith("score")
    assert browser.complaints() == []


def test_runs_are_chosen_and_compared(browser: Browser, page: Page) -> None:
    for name in ("plain-1", "plain-2", "wide-1"):
        browser.find(f'input[aria-label="choose {name}"]').click()
    browser.find("button.main").click()
    browser.until(lambda: "/compare?" in browser.driver.current_url)
    browser.ready()
    assert "mean ± standard deviation over 2 seeds (0, 1)" in browser.text
    assert "network.hidden" in browser.text
    assert "0.350 ± 0.071" in browser.text
    assert len(browser.all(".chart")[0].find_elements("css selector", "path.area")) == 1
    assert len(browser.all(".chart")[0].find_elements("css selector", "path.line")) == 2
    assert browser.complaints() == []


def test_a_run_shows_its_curves_findings_and_scores_as_text(browser: Browser, page: Page) -> None:
    browser.open(f"{page.origin}/runs/plain-1")
    assert EVIL in browser.text
    assert browser.all("img") == []
    assert "Try: network.dropout=0.2" in browser.text
    assert len(browser.all("path.mark.warning")) == 1
    assert "linear model" not in browser.text
    assert "no inputs" in browser.text
    chart = browser.find(".chart svg")
    chart.send_keys("\ue010")  # End
    assert browser.find(".chart .readout").text.startswith("epoch 30 · running ")
    assert browser.complaints() == []


def test_hostile_names_and_columns_stay_text(browser: Browser, page: Page) -> None:
    name = "x' onmouseover=alert(1) é 100% #1"
    made = run()
    facts = {**made.facts, "target_names": [EVIL], "source": "javascript:alert(1)", "notes": [f"</script>{EVIL}"]}
    save_run(made.with_(facts=facts), page.root / name)
    browser.until(lambda: EVIL in browser.text)
    browser.find(f'a[href*="{"onmouseover"}"]').click()
    browser.until(lambda: "/runs/" in browser.driver.current_url)
    browser.ready()
    assert browser.find("h1").text == name
    assert f"</script>{EVIL}" in browser.text
    assert browser.all("img, main script") == []
    assert browser.complaints() == []


def test_the_policy_forbids_inline_scripts_and_markup_from_text(browser: Browser, page: Page) -> None:
    browser.run(
        "const s = document.createElement('div'); document.body.append(s);"
        "try { s.innerHTML = '<b>x</b>'; window.made = 'markup'; } catch { window.made = 'refused'; }"
        "try { s.setAttribute('onclick', 'window.ran = true'); } catch { } s.click();"
    )
    assert browser.run("return [window.made, window.ran ?? null]") == ["refused", None]
    assert browser.complaints()


def test_a_training_elsewhere_is_followed(browser: Browser, page: Page) -> None:
    with RunFolder.create(page.root / "live") as folder:
        write_start(folder, facts={"kind": "binary", "target_names": ["ill"]})
        writer = LiveWriter(folder.path)
        losses = 1 / np.arange(1, 31) ** 0.5
        validation = np.concatenate([losses[:8], losses[8] + 0.03 * np.arange(22)])

        def tell(first: int, last: int) -> None:
            part = slice(first - 1, last)
            curves = {"loss": tuple(losses[part].tolist()), "val_loss": tuple(validation[part].tolist())}
            writer.append(Progress(last, 60, active=1, curves=curves))

        tell(1, 5)
        browser.until(lambda: "training" in browser.find('tr[data-name="live"]').text)
        browser.open(f"{page.origin}/runs/live")
        assert browser.find("progress").get_attribute("value") == "5"
        assert "Nothing so far." in browser.text
        before = browser.find(".chart path.line.train").get_attribute("d")
        tell(6, 30)
        browser.until(lambda: browser.find("progress").get_attribute("value") == "30")
        assert browser.find(".chart path.line.train").get_attribute("d") != before
        browser.until(lambda: "overfit" in browser.text)
        assert "Findings so far" in browser.text
        assert browser.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_is_accessible_and_fits(browser: Browser, page: Page, dark: bool, width: int) -> None:
    (page.root / "foreign").mkdir()
    (page.root / "foreign" / "notes.txt").write_text("mine")
    (page.root.parent / "patients.csv").write_text("age,ill\n3,yes\n4,no\n")
    save_run(run(data=str(page.root.parent / "patients.csv")), page.root / "forkable")
    ledger(page.root.parent / "improved" / "houses-1")
    journal(page.root.parent / "rates.jsonl")
    browser.look(dark=dark, width=width)
    wrong = {}
    compared = "/compare?run=plain-1&run=plain-2&run=wide-1&run=foreign"
    studies = ("/experiments", "/experiments/houses-1", "/experiments/rates")
    for path in ("/", "/runs/forkable", "/runs/foreign", compared, "/new", *studies):
        browser.open(page.origin + path)
        if path.endswith("forkable"):
            browser.find("#fork").click()
        found = browser.inaccessible()
        if browser.run("return document.documentElement.scrollWidth > innerWidth"):
            found.append("it is wider than the screen")
        if found:
            wrong[path] = found
    assert wrong == {}


def test_a_training_is_started_stopped_resumed_and_forked(browser: Browser, page: Page) -> None:
    rng = np.random.default_rng(0)
    table = page.root.parent / "patients.csv"
    rows = "\n".join(f"{x:.3f},{'yes' if x > 0 else 'no'}" for x in rng.normal(size=120))
    table.write_text(f"age,ill\n{rows}\n")
    recipe = 'preset = "simple"\nnetwork.hidden = [4]\ntraining.epochs = {epochs}\nstopping.criterion = "none"\n'
    browser.open(f"{page.origin}/new")
    assert [option.text for option in browser.all("#data option")] == ["patients.csv"]

    def write(text: str) -> None:
        browser.run("document.querySelector('textarea').value = arguments[0]", text)

    write("[network]\nhiden = [4]\n")
    browser.find("form button.main").click()
    browser.until(lambda: "Did you mean 'network.hidden'?" in browser.text)
    write(recipe.format(epochs=10_000_000))
    browser.find("form button.main").click()
    browser.until(lambda: browser.driver.current_url.endswith("/runs/patients-1"))
    browser.ready()
    browser.until(lambda: int(browser.find("progress").get_attribute("value")) > 10, 300)
    browser.find("#stop").click()
    browser.until(lambda: "interrupted" in browser.find(".part-tiles").text, 300)
    browser.until(lambda: "The training was stopped" in browser.text)
    assert "Learning curves" in browser.text
    seen = RunFolder.open(page.root / "patients-1")
    assert seen.status == "interrupted"
    assert seen.verify() == []
    browser.find("#resume").click()
    browser.until(lambda: browser.find("#stop").is_enabled(), 300)
    browser.until(lambda: int(browser.find("progress").get_attribute("value")) > 10, 300)
    browser.find("#stop").click()
    browser.until(lambda: "interrupted" in browser.find(".part-tiles").text, 300)
    browser.find("#fork").click()
    assert "10000000" in browser.find("textarea").get_attribute("value")
    write(recipe.format(epochs=3))
    browser.find(".part-fork button.main").click()
    browser.until(lambda: browser.driver.current_url.endswith("/runs/patients-2"))
    browser.until(lambda: "finished" in browser.find(".part-tiles").text, 300)
    browser.until(lambda: "Recipe" in browser.text)
    assert "epochs = 3" in browser.text
    browser.until(lambda: browser.all('a[href$="/report"]'))
    browser.find('a[href$="/report"]').click()
    browser.until(lambda: "Made by fallline" in browser.text)
    browser.until(lambda: not page.jobs.running(), 120)
