"""Graphs on arrays: checking what is given, planning memory, emitting programs, running them."""
