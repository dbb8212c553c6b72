"""The learning curve of a fitted estimator, as a picture for notebooks."""

from __future__ import annotations

from fallline.report.chart_curves import curve_chart
from fallline.report.figures import curves
from fallline.report.markup import Markup, tag
from fallline.types import Run

__all__ = ["learning_curve"]

# Colours are the report's; everything else follows the notebook's own text colour, light or dark. All selectors begin
# with the class, so that no other output of the notebook changes.
_STYLE = """
.fallline-curve{--fl-train:#0068a4;--fl-val:#bd4b00;max-width:400px;color:inherit}
@media (prefers-color-scheme:dark){.fallline-curve{--fl-train:#4aa3dc;--fl-val:#f08a48}}
.fallline-curve svg{display:block;max-width:100%;height:auto;overflow:visible}
.fallline-curve text{font:12px system-ui,sans-serif;fill:currentColor}
.fallline-curve p{margin:.4em 0;font:12px system-ui,sans-serif}
.fallline-curve .grid{stroke:currentColor;opacity:.15}.fallline-curve .base{stroke:currentColor;opacity:.6}
.fallline-curve .line{fill:none;stroke-width:2}
.fallline-curve .line.train{stroke:var(--fl-train)}
.fallline-curve .line.val{stroke:var(--fl-val);stroke-dasharray:7 4.5}
.fallline-curve .line.running{stroke:var(--fl-train);stroke-width:1.4;stroke-dasharray:.1 4;stroke-linecap:round}
.fallline-curve .line.faint{stroke-width:1;stroke-dasharray:none;opacity:.25}
.fallline-curve .dot.train{fill:var(--fl-train)}.fallline-curve .dot.val{fill:var(--fl-val)}
.fallline-curve .label.train{fill:var(--fl-train)}.fallline-curve .label.val{fill:var(--fl-val)}
.fallline-curve .leader{stroke:currentColor;stroke-width:.8;fill:none;opacity:.5}
.fallline-curve .ring{fill:none;stroke:currentColor;stroke-width:1.6}.fallline-curve .rug{stroke:var(--fl-val)}
.fallline-curve .lost{fill:#b3261e;opacity:.15}
.fallline-curve .probe rect{fill:transparent}.fallline-curve .probe g{opacity:0}
.fallline-curve .probe:hover g{opacity:1}
.fallline-curve .probe line{stroke:currentColor;opacity:.4}
""".strip()


def learning_curve(run: Run) -> Markup:
    """Return the learning curve of a run as a piece of HTML with an inline SVG: no script, nothing loaded."""
    found = curves(run.trace, "loss")
    if found.n_epochs == 0:
        return Markup("")
    best = run.facts.get("best_epoch")
    drawing = curve_chart(found, "Learning curve", "loss", best=best or None, half=True)
    members = len(run.facts.get("members", ()))
    who = "1 network" if members == 1 else f"mean of {members} networks"
    picture = tag(
        "svg",
        tag("title", drawing.title),
        tag("desc", drawing.description),
        drawing.body,
        viewBox=f"0 0 {drawing.width:g} {drawing.height:g}",
        width=f"{drawing.width:g}",
        height=f"{drawing.height:g}",
        role="img",
        aria_label=f"{drawing.title}. {drawing.description}",
    )
    words = f"Learning curve, {who}, {found.n_epochs} epochs, {run.outcome.replace('_', ' ')}"
    return tag("div", tag("style", Markup(_STYLE)), tag("p", words), picture, class_="fallline-curve")
