"""Diagnose, try what could help beside the untreated control, keep what does, and begin again."""

from fallline.improve.api import improve
from fallline.improve.ledger import LEDGER

__all__ = ["LEDGER", "improve"]
