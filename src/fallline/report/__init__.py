"""The report: one self-contained HTML file that a person can read, print, keep and hand on."""

from fallline.report.page import document, render, write_report

__all__ = ["document", "render", "write_report"]
