"""From graph to graph: differentiation, inlining and simplification, a pass a module."""
