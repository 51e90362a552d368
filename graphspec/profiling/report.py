"""What a profile found, as data: nodes with their times and costs, and the same by line and by kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from graphspec.runtime.limits import Limits
from graphspec.runtime.timing import Spread

#: what the rows of a table may be sorted by; "order" is that of execution
SORTS = ("time", "flops", "bytes", "order")
Direction: TypeAlias = Literal["forward", "backward"]
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Tally:
    """What some nodes took and did.

    `products` and `memory` are the seconds that the machine needs at least for those that its products limit,
    and for those that its memory does; `calls` what as many calls of the array library take that do nothing.
    """

    seconds: float = 0.0
    count: int = 0
    flops: int = 0
    bytes: int = 0
    products: float = 0.0
    memory: float = 0.0
    calls: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.seconds + other.seconds,
            self.count + other.count,
            self.flops + other.flops,
            self.bytes + other.bytes,
            self.products + other.products,
            self.memory + other.memory,
            self.calls + other.calls,
        )

    @property
    def least(self) -> float:
        """The seconds that the machine needs at least."""
        return self.products + self.memory

    @property
    def limit(self) -> Literal["products", "memory", "calls"]:
        """What limits it: "calls" where there is so little to do that calling takes longer."""
        if self.least <= self.calls:
            return "calls"
        return "products" if self.products > self.memory else "memory"

    @property
    def share(self) -> float | None:
        """The part of the seconds that the limit explains; None where nothing is to be done, as in a view."""
        needed = max(self.least, self.calls)
        return needed / self.seconds if needed and self.seconds else None

    def as_dict(self) -> dict[str, Any]:
        """As a document has it."""
        return {
            "seconds": self.seconds,
            "flops": self.flops,
            "bytes": self.bytes,
            "least_seconds": self.least,
            "limit": self.limit,
            "share": self.share,
        }


@dataclass(frozen=True, slots=True)
class Place:
    """A call or expression of the spec."""

    file: str
    line: int
    text: str
    start: int

    def as_dict(self) -> dict[str, Any]:
        """As a document has it."""
        return {"file": self.file, "line": self.line, "text": self.text}


@dataclass(frozen=True, slots=True)
class NodeTime:
    """One step of the program, in the order of execution.

    `names` are those of what it makes, often none; `inside` is then the named value in whose computation it
    is.  A step may do what several calls of the spec say: then it has several `places`, and `members`, the
    ops that it does in one.
    """

    names: tuple[str, ...]
    inside: str | None
    op: str
    members: tuple[str, ...]
    places: tuple[Place, ...]
    direction: Direction
    types: tuple[str, ...]
    tally: Tally

    def as_dict(self) -> dict[str, Any]:
        """As a document has it."""
        return {
            "names": list(self.names),
            "inside": self.inside,
            "op": self.op,
            "members": list(self.members),
            "places": [place.as_dict() for place in self.places],
            "direction": self.direction,
            "types": list(self.types),
            **self.tally.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class KernelTime:
    """All steps of one operation, or of the same several."""

    op: str
    members: tuple[str, ...]
    tally: Tally

    def as_dict(self) -> dict[str, Any]:
        """As a document has it."""
        members = list(self.members)
        return {"op": self.op, "members": members, "steps": self.tally.count, **self.tally.as_dict()}


@dataclass(frozen=True, slots=True)
class PlaceTime:
    """All steps of a call or expression of the spec, in all its instances, or of several done in one.

    What no call of the spec says has no place.  `backward` are those that are there for gradients only.
    """

    places: tuple[Place, ...]
    tally: Tally
    backward: Tally

    @property
    def forward(self) -> float:
        """Seconds of the values themselves."""
        return self.tally.seconds - self.backward.seconds

    def as_dict(self) -> dict[str, Any]:
        """As a document has it."""
        return {
            "places": [place.as_dict() for place in self.places],
            "steps": self.tally.count,
            **self.tally.as_dict(),
            "forward_seconds": self.forward,
            "backward_seconds": self.backward.seconds,
        }


@dataclass(frozen=True, slots=True)
class Work:
    """What a program does and takes: its steps, without views, and FLOPs of products; bytes of all that it
    makes on the way, and of the arena in which that lies.
    """

    steps: int
    flops: int
    intermediates: int
    arena: int


@dataclass(frozen=True)
class ProfileReport:
    """Where the time of a request goes; printed it is a table.

    `call` are calls as `Model.compile` makes them, in at most `threads` threads, each of which works on so
    many pieces of the batch in `turns`. `nodes` were timed one by one in runs of the same program, in one
    thread where calls work on pieces of the batch (`in_pieces`); `run` are these runs as a whole. `limits`
    are what the machine does in the threads in which nodes were timed, `call_limits` in those of calls;
    `least` is what it needs at least for a call. `ran` is what a call does (the arena is that of all its
    threads), `written` what it would do if nothing were optimised. `waited` is the part of the runs in which
    other work had the processor: they took longer by that.
    """

    of: tuple[str, ...]
    wrt: tuple[str, ...]
    per_example: Literal["gradients", "norms"] | None
    file: str
    sizes: Mapping[str, int]
    backend: str
    threads: int
    turns: int
    in_pieces: bool
    call: Spread
    run: Spread
    nodes: tuple[NodeTime, ...]
    limits: Limits
    call_limits: Limits
    least: float
    ran: Work
    written: Work
    waited: float

    @property
    def total(self) -> Tally:
        """All nodes together."""
        return sum((node.tally for node in self.nodes), Tally())

    @property
    def kernels(self) -> list[KernelTime]:
        """By operation, in the order of execution."""
        groups = _grouped(self.nodes, lambda n: (n.op, n.members))
        return [KernelTime(op, members, _sum(nodes)) for (op, members), nodes in groups.items()]

    @property
    def places(self) -> list[PlaceTime]:
        """By call or expression of the spec, in the order of execution."""
        return [
            PlaceTime(places, _sum(nodes), _sum(n for n in nodes if n.direction == "backward"))
            for places, nodes in _grouped(self.nodes, lambda n: n.places).items()
        ]

    def as_dict(self) -> dict[str, Any]:
        """As a document has it."""
        total = self.total
        return {
            "of": list(self.of),
            "wrt": list(self.wrt),
            "per_example": self.per_example,
            "sizes": dict(self.sizes),
            "backend": self.backend,
            "threads": self.threads,
            "turns": self.turns,
            "in_pieces": self.in_pieces,
            "call": {
                **asdict(self.call),
                "least_seconds": self.least,
                "share": self.least / self.call.median,
            },
            "run": {**asdict(self.run), "attributed": total.seconds, "waited": self.waited},
            "lines": [line.as_dict() for line in self.places],
            "nodes": [node.as_dict() for node in self.nodes],
            "kernels": [kernel.as_dict() for kernel in self.kernels],
            "limits": {"nodes": _limits(self.limits), "call": _limits(self.call_limits)},
            "ran": asdict(self.ran),
            "written": asdict(self.written),
        }

    def text(self, *, top: int | None = 10, sort: str = "time") -> str:
        """The tables as text, at most `top` rows of each and the others in one; see `SORTS`."""
        from graphspec.profiling.text import print_report

        if sort not in SORTS:
            raise ValueError(f"rows are sorted by {', '.join(SORTS)}, not by {sort!r}")
        return print_report(self, top=top, sort=sort)

    def __str__(self) -> str:
        return self.text()


def _limits(limits: Limits) -> dict[str, Any]:
    return {
        "threads": limits.threads,
        "products": {str(dtype): rate for dtype, rate in limits.products.items()},
        "memory": limits.memory,
        "copies": {str(count): rate for count, rate in limits.copies.items()},
        "call": limits.call,
    }


def _sum(nodes: Iterable[NodeTime]) -> Tally:
    return sum((node.tally for node in nodes), Tally())


def _grouped(nodes: Iterable[NodeTime], key: Callable[[NodeTime], K]) -> dict[K, list[NodeTime]]:
    found: dict[K, list[NodeTime]] = {}
    for node in nodes:
        found.setdefault(key(node), []).append(node)
    return found
