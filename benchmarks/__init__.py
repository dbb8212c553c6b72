"""Benchmarks of fallline beside its peers: ``python -m benchmarks --help``."""
