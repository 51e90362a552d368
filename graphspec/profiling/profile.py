"""From a request on arrays to its profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from graphspec.diagnostics import Span
from graphspec.engine import Engine
from graphspec.ir import Node, Origin, Value
from graphspec.lifting.naming import forward_nodes, output_paths
from graphspec.ops.fused import Fused, Member
from graphspec.profiling.report import Direction, NodeTime, Place, ProfileReport, Tally, Work
from graphspec.requests import Request
from graphspec.runtime.cost import cost
from graphspec.runtime.limits import Limits, measure_limits
from graphspec.runtime.parallel import ParallelProgram
from graphspec.runtime.plan import Plan, nbytes
from graphspec.runtime.timing import time_program

#: a view that takes as long as so many calls was none: what is laid out otherwise is copied
COPIED = 5


def profile(
    engine: Engine,
    request: Request,
    given: Mapping[str, Any],
    call: Callable[[], Any],
    *,
    seed: int,
    backend: str,
    calls: int | None = None,
    seconds: float = 1.0,
) -> ProfileReport:
    """Time `call`, which is the request on the arrays `given`, as a whole and node by node.

    There are so many `calls` of each, or as many as take so many seconds together.
    """
    ready = engine.prepare(request, given, seed=seed, backend=backend, often=True)
    program, derived = ready.program, ready.derived
    plan = program.plan
    timing = time_program(program, call, ready.arrays, calls=calls, seconds=seconds)
    costs = [cost(step, plan) for step in plan.steps]
    dtypes = [c.dtype for c in costs if c.flops]
    threads = 1 if timing.in_pieces else timing.threads
    limits = measure_limits(program.backend, dtypes, threads, in_pieces=timing.in_pieces)
    of_call = limits
    if timing.in_pieces:
        of_call = measure_limits(program.backend, dtypes, timing.threads, in_pieces=True)
    ran, turns = _work(plan), 1
    if isinstance(program.parallel, ParallelProgram):
        ran, turns = replace(ran, arena=program.parallel.arena_bytes), program.parallel.turns
    return ProfileReport(
        of=tuple(derived.gradients or derived.values),
        wrt=tuple(dict.fromkeys(name for names in derived.gradients.values() for name in names)),
        per_example=request.per_example,
        file=ready.module.name,
        sizes=dict(plan.env),
        backend=program.backend.name,
        threads=timing.threads,
        turns=turns,
        in_pieces=timing.in_pieces,
        call=timing.call,
        run=timing.run,
        nodes=tuple(_nodes(plan, timing.steps, limits)),
        limits=limits,
        call_limits=of_call,
        least=sum(of_call.least(done, turns)[0] for done in costs),
        ran=ran,
        waited=timing.waited,
        written=_work(engine.plan_as_written(request, ready.module, ready.sizes)),
    )


def _nodes(plan: Plan, times: Sequence[float], limits: Limits) -> Iterator[NodeTime]:
    """The steps of a plan that do something, with the seconds that each took."""
    described = Described(plan)
    for step, seconds in zip(plan.steps, times, strict=True):
        if step.op.is_view and not seconds:
            continue  # set up once
        done = cost(step, plan)
        if step.op.is_view and seconds > COPIED * limits.call:
            done = replace(done, bytes=2 * nbytes(step.types[0]))
        least, kind = limits.least(done)
        yield NodeTime(
            described.names(step.node),
            described.inside(step.node),
            *ops_of(step.node),
            described.places(step.node),
            described.direction(step.node),
            tuple(map(str, step.types)),
            Tally(
                seconds,
                1,
                done.flops,
                done.bytes,
                products=least if kind == "products" else 0.0,
                memory=least if kind == "memory" else 0.0,
                calls=0.0 if step.op.is_view else limits.call,
            ),
        )


def _work(plan: Plan) -> Work:
    steps = [step for step in plan.steps if not step.op.is_view]
    total = sum(cost(step, plan).flops for step in steps)
    return Work(len(steps), total, plan.intermediate_bytes, plan.arena_bytes)


class Described:
    """What is said of the nodes of a plan: names, places, whether they are there for gradients only."""

    def __init__(self, plan: Plan) -> None:
        paths = output_paths(plan.results)
        outputs = {paths[name]: value for name, (value, _) in plan.results.items()}
        self._names = _names(plan, outputs)
        self._forward = forward_nodes(plan.graph, outputs)
        self._owners: dict[Any, str] = {}
        for step in plan.steps:  # the last one that has a name gives the call its own
            node = step.node
            named = [(member.name, member.origin) for member in members_of(node)]
            for name, origin in named or [(next(iter(self.names(node)), ""), node.origin)]:
                if name and origin is not None:
                    self._owners[self._call(node, origin)] = name

    def names(self, node: Node) -> tuple[str, ...]:
        """The names of what it makes, or of what is all of that in another shape."""
        names = [self._names[value] for value in node.values if value in self._names]
        names += [member.name for member in members_of(node) if member.name]
        return tuple(dict.fromkeys(names))

    def inside(self, node: Node) -> str | None:
        """Of a node without a name, the named value in whose computation it is."""
        if self.names(node) or node.origin is None:
            return None
        return self._owners.get(self._call(node, node.origin))

    def direction(self, node: Node) -> Direction:
        """Whether the values need it, or gradients alone do."""
        return "forward" if node in self._forward else "backward"

    def places(self, node: Node) -> tuple[Place, ...]:
        """The calls of the spec that it belongs to, in their order there."""
        origins = [member.origin for member in members_of(node)] or [node.origin]
        found = {_place(origin.span) for origin in origins if origin}
        return tuple(sorted(found, key=lambda place: (place.file, place.start)))

    def _call(self, node: Node, origin: Origin) -> Any:
        """The call of the spec in one of its instances, in one direction."""
        span = origin.span
        path = tuple((what, where.source.name, where.start) for what, where in origin.trace)
        return span.source.name, span.start, span.end, path, self.direction(node)


def ops_of(node: Node) -> tuple[str, tuple[str, ...]]:
    """The name of the op; those of the ops that a fused one does, if these are several."""
    names = tuple(member.op.name for member in members_of(node))
    return (names[0], ()) if len(names) == 1 else (node.op.name, names)


def members_of(node: Node) -> tuple[Member, ...]:
    """What a fused node does in one; nothing of another."""
    return node.op.members if isinstance(node.op, Fused) else ()


def _names(plan: Plan, outputs: Mapping[str, Value]) -> dict[Value, str]:
    """The user's names of values, and of those that named views show as a whole."""
    names = dict(plan.labels)
    for name, value in outputs.items():
        names.setdefault(value, name)
    for step in reversed(plan.steps):
        value = step.node.values[0]
        if step.op.is_view and value in names:
            viewed = step.node.inputs[0]
            if plan.types[viewed].size == plan.types[value].size:
                names.setdefault(viewed, names[value])
    return names


def _place(span: Span) -> Place:
    line, _ = span.source.position(span.start)
    return Place(span.source.name, line, " ".join(span.text.split()), span.start)
