"""The report: one self-contained HTML file that a person can read, print, keep and hand on."""

from fallline.report.page import document, render, write_report
from fallline.report.story import Step, Story

__all__ = ["Step", "Story", "document", "render", "write_report"]
