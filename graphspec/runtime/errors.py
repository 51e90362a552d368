"""What can go wrong while a program runs; whoever runs it knows the node and the line."""

from __future__ import annotations


class IndexOutOfRange(IndexError):  # noqa: N818  (a finding about the data, reported as a diagnostic)
    """An index computed at run time is negative, or not below the size of the axis it indexes."""

    def __init__(self, index: int, size: int, axis: int) -> None:
        super().__init__(f"index {index} is out of range for axis {axis} of size {size}")
        self.index = index
        self.size = size
        self.axis = axis
