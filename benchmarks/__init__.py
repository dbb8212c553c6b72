"""Benchmarks of fallline beside its peers: ``python -m benchmarks --help``."""

import sys
from pathlib import Path

# What is measured is this checkout, installed or not, and never another fallline that happens to be installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
