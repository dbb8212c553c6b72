"""The page: complete, inert, well-formed, small, and written wholly or not at all."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from fallline.errors import InputError
from fallline.report import document, render, write_report
from fallline.types import ColumnSummary, Diagnosis, HeldOut, Improvement, Run, Score, Story, Trace
from tests.report.make_run import HOSTILE, long_names, make_run
from tests.report.make_story import evaluation, experiment, pages_of, search, story, watched

PAGES = pages_of()
VOID = {"meta", "link", "br", "hr", "img", "input"}
ALLOWED = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "a",
    "div",
    "header",
    "nav",
    "main",
    "footer",
    "section",
    "article",
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "ol",
    "ul",
    "li",
    "dl",
    "dt",
    "dd",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "span",
    "strong",
    "code",
    "pre",
    "figure",
    "figcaption",
    "details",
    "summary",
    "svg",
    "g",
    "path",
    "rect",
    "line",
    "circle",
    "text",
    "tspan",
    "desc",
}


class Page(HTMLParser):
    """Everything that a test asks about a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.style = ""
        self.feed(html)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        names = [k for k, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute stands twice on {tag}: {names}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.texts.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self):
        return " ".join("".join(self.texts).split())

    @property
    def ids(self):
        return [a["id"] for _, a in self.tags if "id" in a]


@pytest.fixture(scope="module")
def pages():
    return {name: render(run) for name, run in PAGES.items()}


@pytest.mark.parametrize("name", PAGES)
def test_page_is_well_formed_and_accessible(pages, name):
    page = Page(pages[name])
    assert {tag for tag, _ in page.tags} <= ALLOWED
    assert len(page.ids) == len(set(page.ids)), "ids are unique"
    assert page.of("html")[0]["lang"] == "en"
    assert len(page.of("h1")) == len(page.of("main")) == len(page.of("header")) == len(page.of("nav")) == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels)), "no heading level is skipped"
    known = set(page.ids)
    for _, attributes in page.tags:
        for key in ("aria-labelledby", "href"):
            for target in (attributes.get(key) or "").removeprefix("#").split():
                assert target in known
    pictures = page.of("svg")
    assert pictures
    assert all(svg.get("role") == "img" and svg.get("aria-labelledby") for svg in pictures)
    assert all(cell.get("scope") in ("row", "col") for cell in page.of("th"))
    assert len(page.of("table")) == len(page.of("caption"))
    assert next(a for a in page.of("a"))["class"] == "skip"


@pytest.mark.parametrize("name", PAGES)
def test_page_is_inert_and_loads_nothing(pages, name):
    html = pages[name]
    page = Page(html)
    for tag, attributes in page.tags:
        assert not any(
            key.startswith("on") or key in ("src", "srcset", "action", "formaction", "xlink:href", "style")
            for key in attributes
        ), (tag, attributes)
        if "href" in attributes:
            assert tag == "a"
            assert attributes["href"].startswith("#")
    assert not re.search(r"@import|url\(|expression\(|</?script|javascript:", page.style, re.IGNORECASE)
    policy = next(m for m in page.of("meta") if m.get("http-equiv") == "Content-Security-Policy")["content"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    raw = re.sub(r">[^<]*<", "><", html)  # without text, no address is left at all
    raw = re.sub(r'data-label="[^"]*"|aria-label="[^"]*"', "", raw)
    assert "://" not in raw
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html)
    html.encode("utf-8")  # no lone surrogate


def test_hostile_names_come_out_as_text(pages):
    page = Page(pages["hostile"])
    for text in HOSTILE[:5]:
        assert text in page.text, f"{text!r} is shown as it is"
    with_story = Page(pages["hostile story"])
    assert f"Does anything help against the overfitting?{HOSTILE[0]}" in with_story.text
    assert not any(tag in ("script", "img", "iframe", "object") for tag, _ in with_story.tags)
    assert "&lt;already&amp;escaped&gt;" in page.text, "nothing is unescaped twice"
    assert not any(tag in ("script", "img", "iframe", "object") for tag, _ in page.tags)
    titles = [a for tag, a in page.tags if tag == "svg"]
    assert titles


@pytest.mark.parametrize("name", PAGES)
def test_page_is_small(pages, name):
    assert len(pages[name].encode()) < 300_000


def test_the_largest_page_stays_under_a_megabyte():
    html = render(long_names())
    assert len(html.encode()) < 1_000_000
    assert "9470 more columns are not listed" in Page(html).text.replace("\u202f", "")


NINE = ["problem", "data", "test", "baseline", "experiments", "improvements", "model", "extensions", "resources"]


def test_the_nine_parts_stand_in_their_order_whatever_there_is():
    empty = Trace.from_columns({k: [] for k in ("member", "epoch", "layer", "quantity", "value")})
    for run in (make_run("binary"), make_run("keras_model"), Run(None, empty, "interrupted")):
        sections = document(run).sections
        assert [s.key for s in sections] == NINE
        assert [s.number for s in sections] == list("123456789")
        assert all(s.blocks for s in sections), "a part says at least that there is nothing, and what makes some"


def section(html: str, key: str) -> Page:
    return Page(re.search(rf'<section id="{key}".*?</section>', html, re.DOTALL)[0])


def test_findings_stand_beside_the_picture_that_shows_them(pages):
    html = pages["watched"]
    assert "Vanishing gradients" in section(html, "model").text.split("Inside the layers")[1].split("Held-out")[0]
    assert "Overfit" in section(html, "model").text.split("Inside the layers")[0]
    assert "Class imbalance" in section(html, "data").text
    assert [a["href"] for a in Page(html).of("a") if "finding" in a["href"]][:3] == [f"#finding-{i}" for i in (1, 2, 3)]
    # Without anything seen in the layers the finding must not be lost.
    blind = watched().with_(trace=make_run("binary").trace)
    assert "3,000 times smaller" in section(render(blind), "model").text.split("Held-out")[0]


def test_experiments_are_told_in_full_and_what_was_kept_from_score_to_score(pages):
    told = section(pages["watched"], "experiments").text
    one = experiment()
    for words in (one.intent, one.expectation, one.method, one.result, one.finding):
        assert words in told
    assert "Against overfit: add-dropout. Because it often pays: use-adam" in told
    assert "They took 60 trainings." in told
    kept = section(pages["watched"], "improvements").text
    assert "1 treatment kept. It ended because nothing more was found to help." in kept
    control = np.mean(one.scores["control"])
    assert f"{control:.3f}" in kept
    assert "0.04 to 0.08" in kept.replace("0.0400", "0.04").replace("0.0800", "0.08")
    nothing = replace(story(), steps=tuple(replace(s, kept="") for s in story().steps), treatments=())
    none = section(render(watched().with_(story=nothing)), "improvements").text
    assert "Nothing that was tried was shown to help" in none
    assert "as it was before" not in none, "nothing was changed, so there is no before"
    assert "No experiment was run" in section(pages["binary"], "experiments").text


def test_an_evaluation_a_search_and_an_experiment_have_pages_of_their_own(pages):
    told = {name: Page(pages[name]).text.replace("\u202f", " ") for name in ("evaluation", "search", "experiment")}
    assert "default has the best log loss" in told["evaluation"]
    assert "its lead over 1 other of 3 is within the noise" in told["evaluation"]
    assert "selected on and flatters" in told["evaluation"]
    assert "gain in log loss; right of 0 is better" in told["evaluation"]
    values = [t.value for t in search().trials if np.isfinite(t.value)]
    assert f"has a log loss of {min(values):.3f}" in told["search"]
    assert "1 diverged" in told["search"]
    assert "The best rate is the largest." in told["search"]
    assert told["search"].count("The best trial has") == 3, "one U-curve an entry, the best trial marked"
    for words in (experiment().intent, experiment().expectation, experiment().finding):
        assert words in told["experiment"]
    lost = replace(search(), trials=())
    assert "No trial was finished" in render(lost)
    recipe, none = make_run("binary").recipe, Diagnosis()
    interrupted = Improvement(recipe, (), None, (), (), none, none, "interrupted", 0, 0.0)
    with pytest.raises(InputError, match="Go on with it first"):
        render(interrupted)
    done = replace(interrupted, run=make_run("binary"), outcome="budget")
    assert render(done) == render(make_run("binary").with_(story=Story((), ended="budget")))


def test_the_verbs_write_a_page(tmp_path):
    for i, found in enumerate((evaluation(), search(), experiment())):
        found.report(tmp_path / f"{i}.html")
        assert (tmp_path / f"{i}.html").read_text() == render(found)


def test_the_baseline_is_drawn_as_the_threshold_of_skill(pages):
    html = pages["binary"]
    assert html.count('class="threshold"') == 2, "one line in each of the two charts"
    assert "The threshold of skill is logistic regression" in section(html, "baseline").text
    assert "threshold" not in section(pages["keras_model"], "baseline").text


def test_the_final_model_was_loaded_again_and_its_columns_were_shuffled(pages):
    told = section(pages["watched"], "model").text.replace("\u202f", "")
    assert "On 82 held-out rows it predicts exactly the same numbers as before it was saved." in told
    assert "5ccf76e8da4…" in told
    assert "how much worse the log loss becomes" in told
    assert "3 columns were not shuffled" in told
    run = watched()
    for largest, words in ((1e-7, "same numbers up to rounding"), (0.2, "other numbers"), (np.nan, "not numbers")):
        assert words in section(render(run.with_(final=replace(run.final, largest=largest))), "model").text
    unknown = replace(run.final, importance=None, reason="no rows were kept apart")
    assert "not shown: no rows were kept apart." in section(render(run.with_(final=unknown)), "model").text
    assert "not written from a run folder" in section(pages["binary"], "model").text


def test_heat_maps_tell_layers_and_shades(pages):
    inside = section(pages["watched"], "model")
    titles = [t for t in ("gradient norm", "update / weight", "share of dead units") if t in inside.text]
    assert len(titles) == 3
    assert "share of outputs that are 0" not in inside.text, "says nearly the same as dead units"
    assert any(a.get("class") == "heat h6" for a in inside.of("path"))
    assert any(a.get("class") == "pointer" for a in inside.of("path")), "the finding's epoch is marked"
    assert "dense: " in inside.text


def test_the_verdict_says_what_the_numbers_say():
    def verdict(model, rivals, **more):
        scores = [Score("log_loss", *model, n=100)] + [Score("log_loss", *r, n=100, who=w) for w, r in rivals.items()]
        run = make_run("keras_model").with_(scores=tuple(scores), **more)
        return Page(render(run)).text

    rivals = {"dummy": (0.69, 0.68, 0.70), "linear": (0.50, 0.40, 0.60)}
    assert "clearly better than logistic regression" in verdict((0.30, 0.25, 0.35), rivals)
    better = verdict((0.40, 0.33, 0.47), rivals)
    assert "better than logistic regression" in better
    assert "clearly" not in better.split("Problem")[0]
    assert "about as well as logistic regression" in verdict((0.45, 0.35, 0.55), rivals)
    worse = verdict((0.90, 0.80, 1.00), {"dummy": (0.69, 0.68, 0.70)})
    assert "worse than class shares only" in worse
    assert "no skill" in worse
    assert "has no skill" not in verdict((0.65, 0.61, 0.68), rivals)
    healthy = verdict((0.3, 0.2, 0.4), rivals, diagnosis=Diagnosis((), {}, ("overfit",)))
    assert "looks healthy" in healthy
    assert "was not diagnosed" in verdict((0.3, 0.2, 0.4), rivals)
    r2 = (
        Score("r2", 0.9, 0.85, 0.95, higher_is_better=True),
        Score("r2", 0.7, 0.6, 0.8, who="linear", higher_is_better=True),
    )
    assert "clearly better than ridge regression" in Page(render(make_run("keras_model").with_(scores=r2))).text


def test_scores_findings_and_recipe_are_all_there(pages):
    run, text = make_run("binary"), Page(pages["binary"]).text
    for score in run.scores:
        if score.who == "model" and score.metric == "log_loss":
            assert f"{score.value:.2f}" in text
    for finding in run.diagnosis:
        assert finding.message in text
        assert all(step in text for step in finding.what_to_try)
    for symptom, why in run.diagnosis.not_examined.items():
        assert f"{symptom}: {why}" in text
    assert "learning_rate = 0.004" in text
    assert "fallline predict runs/heart-0302-0930 new.csv -o predictions.csv" in text
    assert run.facts["fingerprint"] in text
    assert "1 pair of columns says nearly the same" in text
    assert "mean radius" in text


def test_a_diverged_run_says_so(pages):
    text = Page(pages["diverged"]).text
    assert "Training diverged" in text
    assert "not a number from epoch 18" in text
    assert "nan" not in text.lower().split()


@pytest.mark.parametrize(
    "facts",
    [
        {
            "members": 3,
            "classes": "abc",
            "target_names": None,
            "kind": ["binary"],
            "seconds": "soon",
            "best_epoch": "x",
        },
        {
            "members": [1, None, {"best_epoch": -4, "best_val_loss": "low", "outcome": {}}],
            "notes": 7,
            "n_rows": float("nan"),
        },
    ],
)
def test_foreign_facts_do_no_harm(facts):
    assert Page(render(make_run("binary").with_(facts=facts))).text


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression", "multioutput", "multilabel"])
def test_odd_predictions_are_survived(kind):
    run = make_run(kind)
    one = HeldOut(run.held_out.y[:1], run.held_out.prediction[:1], "out_of_fold")
    assert "out-of-fold" in Page(render(run.with_(held_out=one))).text
    constant = HeldOut(run.held_out.y[:40], np.full_like(run.held_out.prediction[:40], 0.5))
    assert Page(render(run.with_(held_out=constant))).text
    broken = run.held_out.prediction.copy()
    broken[0] = np.nan
    assert (
        "1 prediction without a number left out"
        in Page(render(run.with_(held_out=HeldOut(run.held_out.y, broken)))).text
    )


def test_rendering_twice_gives_the_same_page():
    run = make_run("multiclass")
    assert render(run) == render(run)


# -------------------------------------------------------------------------------------------------------- the file


def test_write_report(tmp_path):
    run = make_run("one_epoch")
    path = tmp_path / "report.html"
    assert write_report(run, path) == path
    assert path.read_text(encoding="utf-8") == render(run)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"], "no temporary file is left"


def test_an_existing_file_is_kept_unless_asked(tmp_path):
    run, path = make_run("one_epoch"), tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(InputError, match="overwrite=True"):
        write_report(run, path)
    assert path.read_text() == "mine"
    write_report(run, str(path), overwrite=True)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path, monkeypatch):
    from fallline.report import page

    path = tmp_path / "report.html"
    original = page.render
    monkeypatch.setattr(page, "render", lambda run: (path.write_text("faster"), original(run))[1])
    with pytest.raises(InputError, match="exists already"):
        write_report(make_run("one_epoch"), path)
    assert path.read_text() == "faster"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_failing_disk_loses_nothing(tmp_path, monkeypatch):
    from fallline.report import page

    run, path = make_run("one_epoch"), tmp_path / "report.html"
    path.write_text("old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page.os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write_report(run, path, overwrite=True)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_places_that_cannot_be_written(tmp_path):
    run = make_run("one_epoch")
    with pytest.raises(InputError, match="is a folder"):
        write_report(run, tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        write_report(run, tmp_path / "no" / "report.html")


def test_run_has_the_verb(tmp_path):
    make_run("one_epoch").report(tmp_path / "r.html")
    assert (tmp_path / "r.html").exists()


def test_importing_and_rendering_needs_neither_jax_nor_keras():
    code = (
        "import sys; sys.path[:0] = ['.', 'src']\n"
        "from tests.report.make_run import make_run; from fallline.report import render\n"
        "render(make_run('keras_model'))\n"
        "assert not {'jax', 'keras', 'tensorflow', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_dates_are_drawn_as_dates() -> None:
    run = make_run("binary")
    assert run.summary is not None
    days = {"min": 18262.0, "median": 18362.5, "max": 18461.0}  # since 1970-01-01
    column = ColumnSummary("signed", "date", 200, 0, 200, days, (np.array([18262.0, 18461.0]), np.array([200])))
    page = render(run.with_(summary=replace(run.summary, columns=(column, *run.summary.columns))))
    for day in ("2020-01-01", "2020-04-10", "2020-07-18"):
        assert day in page
