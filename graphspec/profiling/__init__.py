"""Where the time of a request goes: by line, by node, by kernel, beside what the machine can do."""

from graphspec.profiling.profile import profile
from graphspec.profiling.report import SORTS, ProfileReport

__all__ = ["SORTS", "ProfileReport", "profile"]
