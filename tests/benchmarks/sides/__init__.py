"""The sides of the comparison; each module has `prepare`, which returns what is timed."""
