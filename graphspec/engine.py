"""A lowered spec with everything that was compiled from it: requests are run here, on arrays."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar
from weakref import WeakSet

from graphspec import compiler
from graphspec.compiler import Derived, Settings, Spec
from graphspec.diagnostics import Diagnostic, GraphSpecError, Span
from graphspec.diagnostics.catalogue import batching
from graphspec.diagnostics.catalogue import requests as say
from graphspec.ir import DType, Graph, Literal, TensorType, Value, verify
from graphspec.ir.collector import collector_at_rest
from graphspec.ir.scalars import number_symbols
from graphspec.lowering.lower import check_sizes
from graphspec.lowering.module import DataFile, Declared, Draw, Given, Module
from graphspec.lowering.patterns import matches
from graphspec.optimisations import ALL, POOL, PUSH, THREADS
from graphspec.requests import Request
from graphspec.runtime.means import EVERYTHING
from graphspec.starts import check_starts, choose, draw_start, placed_at, size_of_start, span_of_declaration
from graphspec.views import View

if TYPE_CHECKING:
    from graphspec.runtime.arguments import Binder, Bound
    from graphspec.runtime.plan import Plan
    from graphspec.runtime.program import Program

Array: TypeAlias = Any
Sizes: TypeAlias = Mapping[str, int]
K = TypeVar("K")
V = TypeVar("V")

#: seconds from which on a program works in several threads: one that is called again and again, or once
OFTEN, ONCE = 5e-4, 3e-2
#: entries of each cache; the oldest goes first
LIMIT = 256


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request on certain arrays: the spec as it was lowered for them, the request's graph and program,
    the numbers that the dims are, and the program's arrays by name.
    """

    module: Module
    derived: Derived
    program: Program
    sizes: Sizes
    arrays: dict[str, Array]


class Binding(NamedTuple):
    """What `Prepared` has, before there is a program."""

    module: Module
    derived: Derived
    sizes: Sizes
    arrays: dict[str, Array]


class Engine:
    """One spec under one set of settings; `without` are optimisations left out.

    Where data bind a structural dim (one that decided the graph) to another number, the spec is lowered
    again with that number.  Everything compiled is kept; several threads may use one engine.
    """

    def __init__(
        self,
        spec: Spec,
        settings: Settings,
        *,
        without: frozenset[str],
        verify: bool,
        notify: Callable[[Diagnostic], None],
        max_memory: int | None = None,
    ) -> None:
        self.module = compiler.load(spec, settings)
        self._spec = spec
        self._settings = settings
        self._without = without
        self._verify = verify
        self._notify = notify
        self._max_memory = max_memory
        self._lock = threading.RLock()
        self._modules: dict[frozenset[tuple[str, int]], Module] = {}
        self._derived: dict[tuple[Module, Request], Derived] = {}
        self._asked: dict[Derived, tuple[str, ...]] = {}
        self._graphs: dict[Derived, Graph] = {}
        self._told: WeakSet[Derived] = WeakSet()
        self._symbols: dict[Derived, frozenset[str]] = {}
        self._double: Engine | None = None
        self._binders: dict[tuple[Derived, frozenset[str], str], Binder] = {}
        self._programs: dict[tuple[Derived, frozenset[tuple[str, int]], str, bool], Program] = {}

    @collector_at_rest()
    def derive(self, request: Request, module: Module | None = None) -> Derived:
        """The graph that answers a request."""
        key = (module or self.module, request)
        with self._lock:
            if key not in self._derived:
                derived = self._derive(*key, without=self._without)
                _remember(self._derived, key, derived)
                _remember(self._asked, derived, request.of or ())
            return self._derived[key]

    def _derive(self, module: Module, request: Request, *, without: Collection[str]) -> Derived:
        if request.kind in ("rows", "columns"):
            from graphspec.jacobian_blocks import derive as derive_block

            return derive_block(module, request, without=without)
        if request.per_example is None:
            return compiler.derive(module, request, without=without)
        from graphspec.per_example import derive, find_batch

        alone = self._variant(module, {find_batch(module, request): 1})
        return derive(module, alone, request, without=without)

    def check(self) -> None:
        """Check what lowering leaves open: gradients in the spec, and the sizes that have numbers."""
        compiler.check(self.module)
        wrong = check_sizes(self.module, {**_defaults(self.module), **_explicit(self.module)})
        if wrong:
            raise GraphSpecError(wrong)

    def graph(self, derived: Derived) -> Graph:
        """The graph as it is run."""
        with self._lock:
            if derived not in self._graphs:
                graph = compiler.simplify(derived.graph, without=self._without, check=self._verify)
                _remember(self._graphs, derived, graph)
            return self._graphs[derived]

    def view(self, request: Request) -> View:
        """The graph of a request, as it is run, which can be looked at."""
        graph = self.graph(self.derive(request))
        title = f"Gradients of {self.module.name}" if request.wrt else f"Values of {self.module.name}"

        def whole() -> Graph:
            return compiler.readable(compiler.derive(self.module, request, without={POOL, PUSH}).graph)

        return View(graph.outputs, graph.names, self.module, title, whole)

    def in_double(self) -> Engine:
        """The engine of the same spec with everything that floats in double precision; kept."""
        if self._settings.dtype is DType.F64:
            return self
        with self._lock:
            if self._double is None:
                settings = replace(self._settings, dtype=DType.F64)
                self._double = Engine(
                    self._spec,
                    settings,
                    without=self._without,
                    verify=self._verify,
                    notify=self._notify,
                    max_memory=self._max_memory,
                )
            return self._double

    def simplified(self, outputs: Mapping[str, Value]) -> Graph:
        """The graph that computes some values, as it is run."""
        return compiler.simplify(Graph(outputs), without=self._without, check=self._verify)

    def assemble(self, outputs: Mapping[str, Value], sizes: Sizes, backend: str) -> Program:
        """The program that computes some values; it is not kept."""
        return compiler.assemble(self.simplified(outputs), sizes, backend)

    def run(
        self,
        request: Request,
        given: Mapping[str, Any],
        *,
        seed: int,
        backend: str,
        check_finite: bool = False,
        chunk: int | None = None,
    ) -> tuple[Derived, dict[str, Array]]:
        """What a request asks for, by the names of its graph's outputs.

        `given` are arrays by name: of inputs, parameters and buffers, cotangents and directions.  Noise
        that is not given is drawn from the seed.  With `check_finite` a result that is not finite is an
        error, which says what made it so.  Of a request for single examples at most `chunk` are computed at
        a time.
        """
        module, derived, sizes, arrays = self.bind(request, given, seed=seed, backend=backend)
        if chunk is None:
            results = self.program(module, derived, sizes, backend)(arrays)
        else:
            results = self._run_in_chunks(module, derived, sizes, arrays, backend, chunk)
        if check_finite:
            from graphspec.finiteness import check_results

            check_results(derived, self.graph(derived), sizes, backend, arrays, results)
        return derived, results

    def _run_in_chunks(
        self,
        module: Module,
        derived: Derived,
        sizes: Sizes,
        arrays: Mapping[str, Array],
        backend: str,
        chunk: int,
    ) -> dict[str, Array]:
        from graphspec.per_example import PerExample
        from graphspec.runtime.chunks import run_in_chunks

        if not isinstance(derived, PerExample) or chunk < 1:
            raise GraphSpecError(batching.no_chunks(chunk))

        def program_for(count: int) -> Program:
            return self.program(module, derived, {**sizes, derived.batch: count}, backend)

        return run_in_chunks(program_for, arrays, derived.axes, sizes[derived.batch], chunk, backend)

    def prepare(
        self, request: Request, given: Mapping[str, Any], *, seed: int, backend: str, often: bool = False
    ) -> Prepared:
        """A request with everything that it needs to be run: its program (see `program`), and all arrays."""
        module, derived, sizes, arrays = self.bind(request, given, seed=seed, backend=backend)
        program = self.program(module, derived, sizes, backend, often=often)
        return Prepared(module, derived, program, sizes, arrays)

    def bind(self, request: Request, given: Mapping[str, Any], *, seed: int, backend: str) -> Binding:
        """A request on certain arrays, all that it needs but its program."""
        module = self.module
        while True:
            derived = self.derive(request, module)
            # a direction or a cotangent (their names have a space) need not matter: that of a linear function
            needed = {n: a for n, a in given.items() if " " not in n or n in derived.inputs}
            bound = self._binder(module, derived, needed, backend)(needed)
            other = self._variant(module, bound.env)
            if other is module:
                break
            module = other
        self._tell(derived, bound.notes)
        arrays = bound.arrays
        for name in derived.inputs:
            if name not in arrays:
                arrays[name] = draw_start(module.declared[name], bound.env, seed, backend)
        return Binding(module, derived, bound.env, arrays)

    def reserve(self, bytes_needed: int, backend: str) -> None:
        """Raise GraphSpecError where an array of so many bytes is more than may be taken."""
        from graphspec.runtime import memory

        with memory.limited(self._max_memory):
            memory.check(bytes_needed, backend=backend)

    def start(
        self,
        names: Iterable[str] | None,
        kinds: Sequence[str],
        given: Mapping[str, Any],
        *,
        seed: int,
        backend: str,
    ) -> dict[str, Array]:
        """What declarations begin with: drawn, computed, or read from their files.

        `names` are those wanted, all of these kinds if None.  Sizes are those of the arrays `given` and of
        the files, else the defaults of the dims.
        """
        module, bound = self._measure({**self.read(choose(self.module, names, kinds)), **given}, backend)
        wanted = choose(module, names, kinds)
        check_starts([module.declared[name] for name in wanted])
        self._check_memory([module.declared[name] for name in wanted], bound.env, backend)
        found: dict[str, Array] = {}
        computed: dict[str, Value] = {}
        for name in wanted:
            match module.declared[name].start:
                case Given(value):
                    computed[name] = value
                case DataFile():
                    found[name] = bound.arrays[name]
                case _:
                    found[name] = draw_start(module.declared[name], bound.env, seed, backend)
        if computed:
            constant = Derived(Graph(computed), {}, {}, {}, ())
            found |= self.program(module, constant, bound.env, backend)({})
        return {name: found[name] for name in wanted}

    def read(self, names: Iterable[str]) -> dict[str, Array]:
        """The arrays of the data files that the spec itself names for some inputs."""
        from graphspec.runtime.data import read_array

        found: dict[str, Array] = {}
        for declared in (self.module.declared[name] for name in names):
            if isinstance(declared.start, DataFile):
                try:
                    found[declared.name] = read_array(declared.start.path, declared.start.key)
                except GraphSpecError as error:
                    raise placed_at(error, span_of_declaration(declared)) from None
        return found

    def write_program(self, request: Request, given: Mapping[str, Any], version: str) -> str:
        """The stand-alone program of a request for gradients, for the sizes that these arrays have.

        Sizes that they leave open are those of the spec's data files, else the defaults of the dims.
        The program says which version of graphspec wrote it.
        """
        from graphspec.runtime.page import Head
        from graphspec.runtime.standalone import write_program

        planned, module, derived = self.plan(request, given)
        several = len(derived.gradients) > 1
        gradients = {
            f"{objective}/{name}" if several else name: key
            for objective, keys in derived.gradients.items()
            for name, key in keys.items()
        }
        objectives, order = list(derived.gradients), list(module.declared)
        head = Head(module.name, objectives, request.wrt, planned.env, version, order)
        return write_program(planned, derived.values, gradients, head)

    def plan(self, request: Request, given: Mapping[str, Any]) -> tuple[Plan, Module, Derived]:
        """The plan of a request's program, and what it was derived from.

        Sizes are those of the arrays `given`, else of the spec's data files, else the defaults of the dims.
        """
        from graphspec.runtime.plan import plan

        files = self.read(name for name in self.derive(request).inputs if name in self.module.declared)
        module, bound = self._measure({**files, **given}, "numpy")
        derived = self.derive(request, module)
        sizes = self._sizes_used(module, derived, bound.env)
        means = EVERYTHING.without({*self._without, "fast"})
        return plan(self.graph(derived), sizes, means), module, derived

    def plan_as_written(self, request: Request, module: Module, sizes: Sizes) -> Plan:
        """The plan of a request's program where nothing is optimised, for these sizes of the dims."""
        from graphspec.runtime.plan import plan

        derived = self._derive(module, request, without=ALL)
        used = self._sizes_used(module, derived, sizes)
        graph = derived.weighed(compiler.simplify(derived.graph, without=ALL), used, ALL)
        return plan(graph, used, EVERYTHING.without(ALL))

    def load_parameters(
        self,
        path: str | os.PathLike[str],
        names: Iterable[str] | None,
        *,
        prefix: str,
        rename: Mapping[str, str],
        transpose: Iterable[str],
    ) -> dict[str, Array]:
        """The parameters and buffers of a file; `names` are those wanted, all of them if None."""
        from graphspec.runtime.parameters import Mapped, load_parameters

        kinds = ("param", "buffer")
        declared = choose(self.module, None, kinds)
        turned: list[str] = []
        for pattern in transpose:
            found = [name for name in declared if matches(pattern, name)]
            if not found:
                raise GraphSpecError(say.nothing_matches(pattern, declared))
            turned += found
        loaded = load_parameters(
            path,
            {n: self.module.declared[n].value.type for n in choose(self.module, names, kinds)},
            Mapped(prefix, rename, frozenset(turned)),
            known=_explicit(self.module),
            declared=declared,
        )
        for note in loaded.notes:
            self._notify(note)
        return loaded.arrays

    def _measure(self, given: Mapping[str, Any], backend: str) -> tuple[Module, Bound]:
        """The arrays that there are, checked, and the spec lowered for the sizes that they have."""
        from graphspec.runtime.arguments import bind

        module = self.module
        while True:
            bound = bind(
                {name: module.declared[name].type for name in given if name in module.declared},
                given,
                _explicit(module),
                defaults=_defaults(module),
                spans=_spans(module),
                others=module.declared,
                backend=backend,
            )
            other = self._variant(module, bound.env)
            if other is module:
                return module, bound
            module = other

    def _check_memory(self, declared: Iterable[Declared], sizes: Sizes, backend: str) -> None:
        """That what is to be drawn fits into memory, all of it, before any of it is."""
        from graphspec.runtime import memory

        drawn = [d for d in declared if isinstance(d.start, Draw)]
        with memory.limited(self._max_memory):
            memory.check(sum(size_of_start(d, sizes)[1] for d in drawn), backend=backend)

    def _tell(self, derived: Derived, notes: Iterable[Diagnostic]) -> None:
        """Pass on the notes of a call, and once those of the request."""
        with self._lock:
            once = () if derived in self._told else derived.notes
            self._told.add(derived)
        for note in (*once, *notes):
            self._notify(note)

    def _variant(self, module: Module, sizes: Sizes) -> Module:
        """The spec lowered with these numbers for the dims that decide the graph: often `module` itself."""
        structural = {name: sizes.get(name, n) for name, n in module.structural.items()}
        if structural == module.structural:
            return module
        key = frozenset(structural.items())
        with self._lock:
            if key not in self._modules:
                sets = {**self._settings.sets, **structural}
                _remember(self._modules, key, compiler.load(self._spec, replace(self._settings, sets=sets)))
            return self._modules[key]

    def _binder(self, module: Module, derived: Derived, given: Mapping[str, Any], backend: str) -> Binder:
        """What checks the arrays of a request; noise is expected where it is given."""
        from graphspec.runtime.arguments import Binder

        noise = {name for name in derived.inputs if _kind(module, name) == "noise"}
        drawn = frozenset(name for name in noise if name not in given)
        key = (derived, drawn, backend)
        with self._lock:
            if key not in self._binders:
                binder = Binder(
                    {n: _type(module, n, v) for n, v in derived.inputs.items() if n not in drawn},
                    _explicit(module),
                    defaults=_defaults(module),
                    spans=_spans(module),
                    others=module.declared,
                    backend=backend,
                )
                _remember(self._binders, key, binder)
            return self._binders[key]

    @collector_at_rest()
    def program(
        self, module: Module, derived: Derived, sizes: Sizes, backend: str, *, often: bool = False
    ) -> Program:
        """The program for these sizes; compiled once.  One that is called `often` is made with more care."""
        with self._lock:
            used = self._sizes_used(module, derived, sizes)
            key = (derived, frozenset(used.items()), backend, often)
            if key not in self._programs:
                from graphspec.runtime import memory
                from graphspec.runtime.fast import is_wanted

                wrong = check_sizes(module, sizes, self._asked.get(derived, ()))
                if wrong:
                    raise GraphSpecError(wrong)
                with memory.limited(self._max_memory):
                    graph = derived.weighed(self.graph(derived), sizes, self._without)
                    if self._verify:
                        verify(graph)
                    threads_from = math.inf if THREADS in self._without else OFTEN if often else ONCE
                    means = EVERYTHING.without(self._without)
                    if not often or not is_wanted():
                        means = replace(means, fast=False)
                    program = compiler.assemble(
                        graph,
                        sizes,
                        backend,
                        means=means,
                        threads_from=threads_from,
                        check=self._verify,
                    )
                _remember(self._programs, key, program)
            return self._programs[key]

    def _sizes_used(self, module: Module, derived: Derived, sizes: Sizes) -> dict[str, int]:
        """The dims that a request needs the numbers of.  Raises GraphSpecError where one is not known."""
        with self._lock:
            if derived not in self._symbols:
                _remember(self._symbols, derived, _symbols(derived.graph))
            used = self._symbols[derived]
        for name in sorted(used - sizes.keys()):
            origin = module.dims[name].origin
            raise GraphSpecError(say.size_not_known(name, origin.span if origin else None))
        return {name: sizes[name] for name in sizes if name in used}


def _type(module: Module, name: str, value: Value) -> TensorType:
    """What an array must be: as declared, with the dims that decide the graph as symbols."""
    return module.declared[name].type if name in module.declared else value.type


def _remember(cache: dict[K, V], key: K, value: V) -> None:
    if len(cache) >= LIMIT:
        del cache[next(iter(cache))]
    cache[key] = value


def _symbols(graph: Graph) -> frozenset[str]:
    """The dims that a graph needs the numbers of."""
    found: set[str] = set()
    for node in graph.nodes:
        for type in node.types:
            if type.symbols:
                found |= type.symbols
        if isinstance(node.op, Literal) and not isinstance(node.op.value, bool):
            found |= number_symbols(node.op.value)
    return frozenset(found)


def _explicit(module: Module) -> dict[str, int]:
    """The dims that were set from outside, which data may not contradict."""
    return {name: d.default for name, d in module.dims.items() if d.explicit and d.default is not None}


def _defaults(module: Module) -> dict[str, int]:
    return {name: d.default for name, d in module.dims.items() if not d.explicit and d.default is not None}


def _spans(module: Module) -> dict[str, Span]:
    return {name: d.origin.span for name, d in module.declared.items() if d.origin}


def _kind(module: Module, name: str) -> str:
    return module.declared[name].kind if name in module.declared else ""
