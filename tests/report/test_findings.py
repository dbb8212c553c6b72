"""A diagnosis in a notebook: complete, escaped, drawn."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from fallline.diagnose import diagnose
from fallline.types import Diagnosis, Finding


def test_findings_are_drawn_with_their_evidence_and_escaped() -> None:
    found = Finding(
        "overfit", "S3", "generalisation", "warning", 0.8, "It <rose>.", {"rise": 0.5, "tiny": 1e-9, "where": "<b>"},
        cause="Too & many", what_to_try=("stop early",), layer="dense", epoch=7,
    )  # fmt: skip
    html = Diagnosis((found,), {"dead-relu": "not known: inside"})._repr_html_()
    ET.fromstring(html)  # well-formed
    assert html.count("<rect") == 2
    for words in ("It &lt;rose&gt;.", "Too &amp; many", "layer dense", "epoch 7", "dead-relu", "&lt;b&gt;"):
        assert words in html


def test_a_healthy_diagnosis_says_so() -> None:
    assert "Nothing is wrong" in Diagnosis()._repr_html_()
    assert "divergence" in diagnose({"loss": [0.7, 0.5, float("nan")]})._repr_html_()
