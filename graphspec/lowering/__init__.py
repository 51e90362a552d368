"""From abstract syntax to a typed graph: names, sizes, types and definitions are resolved here."""
