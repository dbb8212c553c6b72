"""The report of a run, an evaluation, a search or an experiment: one self-contained HTML file to keep and hand on."""

from fallline.report.page import document, render, write_report

__all__ = ["document", "render", "write_report"]
