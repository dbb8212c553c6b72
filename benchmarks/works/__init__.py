"""One file a work; a file dropped in here is found by its name."""
