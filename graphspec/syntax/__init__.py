"""The text side of graphspec: `.gspec` text to abstract syntax, with every syntax error found in one run."""

from graphspec.syntax.index import index
from graphspec.syntax.parser import parse, parse_definition, parse_expression, parse_partial

__all__ = ["index", "parse", "parse_definition", "parse_expression", "parse_partial"]
