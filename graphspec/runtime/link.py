"""From a plan to calls: what `emit` writes as text, made directly, for programs too long to compile as text.

Python takes 30 microseconds to compile a line.  Here each step becomes a call with its operands bound; what
an op computes is compiled once, from the same source that `emit` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import CodeType, TracebackType
from typing import Any, TypeAlias

from graphspec.ir import DType, Node, Op, Value
from graphspec.runtime.kernels import find_kernel
from graphspec.runtime.plan import Plan, Slot, Step, nbytes

Run: TypeAlias = "Callable[..., tuple[Any, ...]]"
Call: TypeAlias = "Callable[[], Any]"
#: by text; of ops without attributes by class and number of operands
Functions: TypeAlias = "dict[str | tuple[type[Op], int], Callable[..., Any]]"

#: programs of more steps than this are linked, not written
LONG = 2000


class Linked:
    """A linked plan: `bind(arena, xp)` gives `run`, which takes the inputs and gives the results in the order
    of the plan.

    Where `empty` is given, it makes the arrays of the results.  A `clock` is called with -1 at the start, and
    with the number of each step after it.
    """

    def __init__(
        self,
        plan: Plan,
        backend: str,
        *,
        empty: Callable[..., Any] | None = None,
        clock: Callable[[int], None] | None = None,
    ) -> None:
        self.plan = plan
        self.backend = backend
        self.empty = empty
        self.clock = clock
        self._functions: Functions = {}

    def bind(self, arena: Any, xp: Any) -> Run:
        """The program on an arena."""
        return _Binding(self, arena, xp, self._functions).run

    def node_at(self, traceback: TracebackType | None) -> Node | None:
        """The node that was being computed when an error arose."""
        while traceback is not None:
            if traceback.tb_frame.f_code is _CODE:
                there = traceback.tb_frame.f_locals
                node: Node | None = there["self"].nodes[there["position"]]
                return node
            traceback = traceback.tb_next
        return None


class _Binding:
    """The calls of a program on one arena.

    `fixed` are the arrays and numbers that are the same in each call; the others (inputs, results, and views
    of those) are in `live`, at the places that `where` knows.
    """

    def __init__(self, linked: Linked, arena: Any, xp: Any, functions: Functions) -> None:
        self.plan = plan = linked.plan
        self.backend = linked.backend
        self.empty = linked.empty or xp.empty
        self.arena = arena
        self.xp = xp
        self.functions = functions
        self.fixed: dict[Value, Any] = {}
        self.live: list[Any] = []
        self.where: dict[Value, int] = {}
        self.calls: list[Call] = []
        self.nodes: list[Node | None] = []
        for value in plan.inputs.values():
            self.is_live(value)
        self.copied = {name: len(self.live) + i for i, name in enumerate(plan.results)}
        self.live += [None] * len(self.copied)
        clock = linked.clock
        if clock is not None:
            self.add(partial(clock, -1), None)
        for i, step in enumerate(plan.steps):
            before = len(self.calls)
            self.step(step)
            for name in step.copies:
                self.copy(name, step.node)
            if clock is not None and len(self.calls) > before:
                self.add(partial(clock, i), None)
        made_after = {name for step in plan.steps for name in step.copies}
        for name, (_, is_copy) in plan.results.items():
            if is_copy and name not in made_after:
                self.copy(name, None)

    def run(self, *arrays: Any) -> tuple[Any, ...]:
        """Compute the results, in the order of the plan."""
        live = self.live
        live[: len(arrays)] = arrays
        for position, call in enumerate(self.calls):  # noqa: B007  (an error is looked up by it)
            call()
        results = [
            live[self.copied[name]] if is_copy else self.result(value)
            for name, (value, is_copy) in self.plan.results.items()
        ]
        live[:] = [None] * len(live)  # what belongs to the caller is not kept
        return tuple(results)

    def result(self, value: Value) -> Any:
        """An array of the caller's own: a view that is laid out otherwise is copied."""
        array = self.live[self.where[value]]
        if not value.node.op.is_view:
            return array
        is_plain = array.flags.c_contiguous and getattr(array.flags, "writeable", True)
        return array if is_plain else array.copy()

    def step(self, step: Step) -> None:
        node, op, out = step.node, step.op, step.node.values[0]
        if op.is_view:
            self.view(step)
            return
        for value, type in zip(node.values, step.types, strict=True):
            if value in self.plan.own:
                place = self.is_live(value)
                make = partial(self.empty, type.shape, type.dtype.array_name)
                self.add(partial(self.put, place, make), node)
        if op.kernel:
            arguments = [*node.values, *node.inputs]
            scratch = [self.storage(slot) for slot in step.scratch]
            found = find_kernel(op.kernel, self.backend)
            kernel: Callable[..., Any] = partial(found, self.xp)
            if len(node.values) > 1:
                kernel = partial(_with_several, kernel, len(node.values))
            if scratch:
                kernel = partial(_with_last, kernel, scratch)
            if op.field_names:
                kernel = partial(kernel, **op.attributes())
            self.bound(kernel, arguments, node, takes_numbers=op.is_elementwise)
            return
        function = self.function(op, len(node.inputs))
        takes_numbers = op.is_elementwise and (self.backend != "numpy" or op.reads_numbers)
        self.bound(function, [out, *node.inputs], node, takes_numbers=takes_numbers)

    def view(self, step: Step) -> None:
        """As in `emit`: a view of plain storage is made once, another at each call."""
        node = step.node
        value, viewed = node.values[0], node.inputs[0]
        function = self.function(step.op, len(node.inputs))
        if viewed in self.plan.numbers or (viewed in self.plan.slots and step.types[0].shape):
            self.fixed[value] = function(*[self.array(v) for v in node.inputs])
            return
        place = self.is_live(value)
        if not step.types[0].shape:
            function = partial(_as_array, self.xp, function)
        getters = [self.getter(v) for v in node.inputs]
        self.add(lambda: self.put(place, lambda: function(*[get() for get in getters])), node)

    def copy(self, name: str, node: Node | None) -> None:
        """A result that is a copy of a value, taken now."""
        value, _ = self.plan.results[name]
        place, get, xp = self.copied[name], self.getter(value), self.xp
        self.add(lambda: self.put(place, lambda: xp.array(get(), order="C")), node)

    def bound(
        self, function: Callable[..., Any], values: Sequence[Value], node: Node, *, takes_numbers: bool
    ) -> None:
        """A call of a function on values; elementwise functions take numbers as they are."""
        given = self.operand if takes_numbers else self.array
        if self.where.keys().isdisjoint(values):
            self.add(partial(function, *map(given, values)), node)
            return
        live = self.live
        places = [self.where.get(v, -1) for v in values]
        operands = [None if v in self.where else given(v) for v in values]
        both = list(zip(places, operands, strict=True))
        self.add(lambda: function(*[live[i] if i >= 0 else operand for i, operand in both]), node)

    def add(self, call: Call, node: Node | None) -> None:
        self.calls.append(call)
        self.nodes.append(node)

    def put(self, place: int, make: Call) -> None:
        self.live[place] = make()

    # --- arrays ---

    def is_live(self, value: Value) -> int:
        """A place for a value that is another array in each call."""
        self.where[value] = len(self.live)
        self.live.append(None)
        return self.where[value]

    def getter(self, value: Value) -> Call:
        if value in self.where:
            live, place = self.live, self.where[value]
            return lambda: live[place]
        array = self.array(value)
        return lambda: array

    def operand(self, value: Value) -> Any:
        """A number as it is, else the array."""
        number = self.plan.numbers.get(value)
        return self.array(value) if number is None else _plain(number, value.dtype)

    def array(self, value: Value) -> Any:
        """A value that is the same array in each call."""
        found = self.fixed.get(value)
        if found is None:
            number = self.plan.numbers.get(value)
            if number is None:
                found = self.storage(self.plan.slots[value])
            else:
                found = self.xp.asarray(_plain(number, value.dtype), dtype=value.dtype.array_name)
            self.fixed[value] = found
        return found

    def storage(self, slot: Slot) -> Any:
        if self.backend == "numpy":
            return self.xp.ndarray(slot.type.shape, slot.type.dtype.array_name, self.arena, slot.offset)
        part = self.arena[slot.offset : slot.offset + nbytes(slot.type)]
        return part.view(slot.type.dtype.array_name).reshape(slot.type.shape)

    def function(self, op: Op, count: int) -> Callable[..., Any]:
        """What an op's source computes, as a function of the result (but for a view) and the operands."""
        key = self.text(op, count) if op.field_names else (type(op), count)
        found = self.functions.get(key)
        if found is None:
            numbers = {"inf": float("inf"), "nan": float("nan")}
            found = self.functions[key] = eval(self.text(op, count), {"xp": self.xp, **numbers})
        return found

    def text(self, op: Op, count: int) -> str:
        out, operands = () if op.is_view else ("out",), [f"x{i}" for i in range(count)]
        source = op.numpy_source if self.backend == "numpy" else op.source
        return f"lambda {', '.join([*out, *operands])}: {source(''.join(out), *operands)}"


_CODE: CodeType = _Binding.run.__code__


def _plain(number: int | float | bool, dtype: DType) -> int | float | bool:
    """A number as the text of a program has it."""
    if dtype is DType.BOOL:
        return bool(number)
    return int(number) if dtype.is_integer else float(number)


def _as_array(xp: Any, function: Callable[..., Any], *operands: Any) -> Any:
    return xp.asarray(function(*operands))


def _with_last(function: Callable[..., Any], scratch: list[Any], *operands: Any, **attributes: Any) -> None:
    """A kernel takes its working storage after the operands."""
    function(*operands, *scratch, **attributes)


def _with_several(function: Callable[..., Any], count: int, *arrays: Any, **attributes: Any) -> None:
    """A kernel with several results takes them as a tuple."""
    function(arrays[:count], *arrays[count:], **attributes)
