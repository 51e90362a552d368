"""A compiled program: planned and emitted once, then called with arrays, from any number of threads."""

from __future__ import annotations

import itertools
import linecache
import weakref
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import replace
from functools import cached_property, partial
from types import SimpleNamespace
from typing import Any, NoReturn, Protocol

import numpy as np

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue.data import index_out_of_range, out_of_memory
from graphspec.ir import Graph, Node, TensorType, verify
from graphspec.ir.collector import collector_at_rest
from graphspec.runtime import memory
from graphspec.runtime.backends import Backend
from graphspec.runtime.backends import backend as find_backend
from graphspec.runtime.blocks import Pool
from graphspec.runtime.chains import is_small
from graphspec.runtime.emit import emit
from graphspec.runtime.errors import IndexOutOfRange
from graphspec.runtime.fast import load_kernels
from graphspec.runtime.foreign import failed, require_sound
from graphspec.runtime.fusing import fused
from graphspec.runtime.kernels import find_kernel
from graphspec.runtime.kernels.indexing_on_device import NOTING, noted
from graphspec.runtime.link import LONG, Linked
from graphspec.runtime.means import PLAIN, Means
from graphspec.runtime.plan import Plan, Stages, plan

#: takes the inputs in their order, gives the results in theirs
Run = Callable[..., tuple[Any, ...]]
#: called after each step of `Program.plan` with its number, its operands (arrays and numbers), its results
Watch = Callable[[int, tuple[Any, ...], tuple[Any, ...]], None]
#: called with -1 before the first step of `Program.plan`, and with the number of each step that did something
Clock = Callable[[int], None]

_NUMBER = itertools.count(1)


class Parallel(Protocol):
    """What does the work of a program in pieces, in several threads or in turns."""

    @property
    def arena_bytes(self) -> int: ...

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Any]: ...

    def release(self) -> None: ...


class Program:
    """What computes the outputs of a graph for one set of sizes.

    A call takes the arrays of `inputs`, of exactly these types (see `runtime.arguments`), and gives new
    arrays, by the names of the graph's outputs.  Raises GraphSpecError where the sizes need more than
    may be taken at once (see `runtime.memory`), unless its caller looks at that later.  `watch` sees every
    step, none of which is fast or overwrites anything then; a `clock` hears of every step and changes none.

    `means` are the optimisations that it may use.
    A program with `stages` is not called but played: `play` gives a generator that pauses after each stage.
    """

    def __init__(
        self,
        graph: Graph,
        env: Mapping[str, int],
        backend: str = "numpy",
        *,
        watch: Watch | None = None,
        clock: Clock | None = None,
        stages: Stages | None = None,
        means: Means = PLAIN,
        check: bool = False,
        is_limited: bool = True,
    ) -> None:
        self.backend: Backend = find_backend(backend)
        is_plain = backend == "numpy" and watch is None
        self.means = means = replace(
            means,
            fuse=means.fuse and is_plain,
            fast=means.fast and is_plain,
            overwrite=means.overwrite and watch is None,
        )
        #: what it computes, before anything was fused
        self.graph = graph
        if means.fast:
            load_kernels()
        given = [value for values in stages.gives for value in values] if stages else []
        #: its steps are parts of compiled chains
        self._chained = means.fuse and means.fast and stages is None and is_small(graph, env)
        if means.fuse:
            graph, stages = fused(graph, env, stages, means, chained=self._chained)
            if check:
                verify(graph)
        self.plan: Plan = plan(graph, env, means, stages)
        became = dict(
            zip([v for values in stages.gives for v in values] if stages else [], given, strict=True)
        )
        #: what it writes where its caller wants it (see `Stages`), and the value that it is in the plan
        self.placed = {became[value]: root for value, root in self.plan.placed.items()}
        #: does the work instead, in pieces (see `runtime.parallel`)
        self.parallel: Parallel | None = None
        if is_limited:
            self.check_memory()
        require_sound(self.plan, backend)
        taken = {value for cut in self.plan.cuts for value in cut.takes}
        self._order = tuple(name for name, value in self.plan.inputs.items() if value not in taken)
        self._nodes: Mapping[int, Node] = {}
        self._file = f"<graphspec program {next(_NUMBER)}>"
        self._linked: Linked | None = None
        self._watch = watch
        self._clock = clock
        #: the memory of large results; of others, and on a device, the array library does that itself
        self.pool = Pool(self.plan.own_bytes if backend == "numpy" else ())
        if len(self.plan.steps) > LONG and watch is None and stages is None and not means.fuse:
            empty = self.pool.empty if backend == "numpy" else None
            self._linked = Linked(self.plan, backend, empty=empty, clock=clock)
        # on a device bounds are looked at when the program has run: by the nodes whose kernels note them
        self._noting = [
            step.node for step in self.plan.steps if self.backend.name == "cupy" and step.op.kernel in NOTING
        ]
        #: the program on arenas that no call is using, by queue: taken and given back in one step each
        self._idle: defaultdict[int, list[Run]] = defaultdict(list)

    def check_memory(self) -> None:
        """Raise GraphSpecError where a call takes more memory than it may."""
        arena = self.plan.arena_bytes if self.parallel is None else self.parallel.arena_bytes
        memory.check(arena + self.plan.result_bytes, self.plan.input_bytes, self.backend.name)

    @cached_property
    def _bind(self) -> Callable[[Any, Any], Run]:
        """What gives a run on an arena, `bind(arena, xp)`: linked, or defined by the text of the program."""
        if self._linked is not None:
            return self._linked.bind
        program = emit(
            self.plan,
            self.backend.name,
            watched=self._watch is not None,
            timed=self._clock is not None,
            chained=self._chained,
        )
        self._nodes = program.nodes
        found = {name: find_kernel(name, self.backend.name, fast=self.means.fast) for name in program.kernels}
        if program.loops:
            from graphspec.runtime.compiled import compiled

            found |= {name: compiled(text) for text, name in program.loops.items()}
        kernels = SimpleNamespace(
            **found, watch=self._watch, _clock=self._clock, empty_result=self.pool.empty
        )
        namespace: dict[str, Any] = {"__name__": "graphspec_program"}
        exec(compile(program.text, self._file, "exec"), namespace)
        # tracebacks show lines of the program; the entry goes when the program does
        linecache.cache[self._file] = (len(program.text), None, program.text.splitlines(True), self._file)
        weakref.finalize(self, linecache.cache.pop, self._file, None)
        return lambda arena, xp: namespace["bind"](arena, xp, kernels)

    @property
    def source(self) -> str:
        """The text of the program."""
        return emit(self.plan, self.backend.name, chained=self._chained).text

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of the arrays that a call needs, or the first stage."""
        return self._order

    @property
    def inputs(self) -> dict[str, TensorType]:
        """The types of the arrays that a call needs, by name."""
        return {name: self.plan.types[value] for name, value in self.plan.inputs.items()}

    @property
    def outputs(self) -> dict[str, TensorType]:
        """The types of the arrays that a call gives, by name."""
        return {name: self.plan.types[value] for name, (value, _) in self.plan.results.items()}

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The results; they are the caller's own, and alias neither the inputs nor each other."""
        arrays = [inputs[name] for name in self._order]
        if self.backend.name == "numpy":
            arrays = [as_plain(array) for array in arrays]
        return dict(zip(self.plan.results, self.run(*arrays), strict=True))

    def run(self, *arrays: Any) -> tuple[Any, ...]:
        """The results in the order of `outputs`, of arrays in the order of `needs`; numpy's must be plain."""
        if self.parallel is not None:
            found = self.parallel(dict(zip(self._order, arrays, strict=True)))
            return tuple([found[name] for name in self.plan.results])
        idle = self._idle[self.backend.queue()]
        run = self._take(idle)
        try:
            return self._run_and_check(run, arrays) if self._noting else run(*arrays)
        except Exception as error:  # a kernel may raise anything; it is raised again, with its place
            self._explain(error, self._node_of(error))
        finally:
            idle.append(run)

    def play(self, inputs: Mapping[str, Any], placed: Sequence[Any] = ()) -> Played:
        """A run of a program with stages, which writes into the arrays `placed`; it must be closed."""
        return Played(self, [inputs[name] for name in self._order], placed)

    def _run_and_check(self, run: Run, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
        """Run on a device, then look at the bounds of the indices that were computed or given there."""
        with noted() as notes:
            results = run(*arrays)
        wrong = notes.first_wrong(self.backend.xp)
        if wrong is not None:
            call, error = wrong
            self._explain(error, self._noting[call])
        return results

    def release(self) -> None:
        """Give back the memory that no call and no result is using."""
        self._idle.clear()
        self.pool.release()
        if self.parallel is not None:
            self.parallel.release()

    def _take(self, idle: list[Run]) -> Run:
        """The program on an arena that nobody uses, one of the queue's idle ones or a new one.

        On a GPU calls return before their work is done, so an arena stays with its queue.
        """
        try:
            return idle.pop()
        except IndexError:
            pass
        return self._make_run()

    @collector_at_rest()
    def _make_run(self) -> Run:
        """The program on an arena of its own."""
        try:
            arena = self.backend.empty_bytes(self.plan.arena_bytes)
        except MemoryError:
            raise GraphSpecError(out_of_memory(self.plan.arena_bytes, self.backend.device)) from None
        try:
            run = self._bind(arena, self.backend.xp)
        except Exception as error:  # a kernel may raise anything; it is raised again, with its place
            self._explain(error, self._node_of(error))
        if self.backend.name != "numpy" or self.plan.cuts:
            return run
        if any(step.op.plugin for step in self.plan.steps):  # a kernel may look at its caller's context
            return np.errstate(all="ignore")(run)
        # infinities and NaNs are the user's right: to enter a context that says so is cheaper than to open
        # one at each call, and an arena, and so its context, is never used by two calls at once
        context = Context()
        context.run(np.seterr, all="ignore")
        return partial(context.run, run)

    def _explain(self, error: Exception, node: Node | None) -> NoReturn:
        """Raise the user's mistake as a diagnostic, and a mistake of ours with the node it happened in."""
        if isinstance(error, IndexOutOfRange):
            origin = node.origin if node else None
            raise GraphSpecError(
                index_out_of_range(
                    self._name_of(node),
                    error.index,
                    error.size,
                    error.axis,
                    origin.span if origin else None,
                    origin.trace if origin else (),
                )
            ) from None
        if isinstance(error, MemoryError):
            raise GraphSpecError(out_of_memory(self.plan.bytes_needed, self.backend.device)) from None
        if node is not None and node.op.plugin and not isinstance(error, GraphSpecError):
            raise failed(error, node) from error
        if node is not None and not isinstance(error, GraphSpecError):
            place = f", made at {node.origin.span}" if node.origin else ""
            shapes = ", ".join(str(self.plan.types[value]) for value in node.inputs)
            error.add_note(f"while computing `{self._name_of(node)}` ({node.op.name} of {shapes}){place}")
        raise error

    def _node_of(self, error: Exception) -> Node | None:
        """The node whose line of the program was running."""
        if self._linked is not None:
            return self._linked.node_at(error.__traceback__)
        found = None
        frame = error.__traceback__
        while frame is not None:
            if frame.tb_frame.f_code.co_filename == self._file:
                found = self._nodes.get(frame.tb_lineno, found)
            frame = frame.tb_next
        return found

    def _name_of(self, node: Node | None) -> str:
        if node is None:
            return "the program"
        labels = [self.plan.labels[value] for value in node.values if value in self.plan.labels]
        return labels[0] if labels else node.op.name


class Played:
    """A run that pauses after each stage, on an arena of its own until it is closed.

    Its arrays are good until it goes on.
    """

    def __init__(self, program: Program, arrays: list[Any], placed: Sequence[Any]) -> None:
        self._program = program
        self._queue = program.backend.queue()
        self._run = program._take(program._idle[self._queue])
        self._arrays = arrays
        self._placed = placed
        self._steps: Any = None

    def go_on(self, given: list[Any] | None = None) -> Any:
        """The next stage, for which the program is given some arrays: what it gives after it."""
        program = self._program
        try:
            with program.backend.quiet():
                if self._steps is not None:
                    return self._steps.send(given)
                self._steps = self._run(*map(as_plain, self._arrays), *self._placed)
                return next(self._steps)
        except Exception as error:  # as in a call
            program._explain(error, program._node_of(error))

    def close(self) -> None:
        """Hand the arena back."""
        if self._steps is not None:
            self._steps.close()
        self._program._idle[self._queue].append(self._run)


def as_plain(array: Any) -> Any:
    """The array itself if it is laid out plainly, as the steps of a program take it to be, else a copy."""
    try:
        return array if array.flags.c_contiguous else array.copy()
    except MemoryError:
        raise GraphSpecError(out_of_memory(array.nbytes, find_backend("numpy").device)) from None
