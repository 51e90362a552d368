"""From a graph back to something to read."""
