"""What an op is: one frozen dataclass that knows its type rule, its derivative and its source text."""

from __future__ import annotations

import dataclasses
import inspect
import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    NamedTuple,
    TypeAlias,
    TypeVar,
    cast,
    dataclass_transform,
)

from graphspec.diagnostics import Span
from graphspec.ir.regions import Demand, Region, aligned_demand, box_shape
from graphspec.ir.scalars import Number, Scalar, evaluate_number
from graphspec.ir.sizes import Size, Symbolic
from graphspec.ir.types import TensorType, TypeRuleError

if TYPE_CHECKING:
    from graphspec.ir.samples import Sample


#: for each axis of a result, and each input, an axis of the input or None (see `Op.alignment`)
Alignment: TypeAlias = "tuple[tuple[int | None, ...], ...]"


@dataclass(frozen=True, eq=False, repr=False)
class Op:
    """A primitive or a call; attributes are fields, so equal ops are equal objects.

    Subclasses are made by `@op`, which makes them frozen dataclasses and registers their `name`.
    A subclass defines `infer` and either `source` (one numpy call writing into `out`) or `kernel`.
    """

    name: ClassVar[str] = ""
    #: the names of the attributes
    field_names: ClassVar[tuple[str, ...]] = ()
    #: the result is a view of the first input (reshape, transpose, slice): no storage of its own
    is_view: ClassVar[bool] = False
    #: element i of the result depends on element i of the (broadcast) inputs only
    is_elementwise: ClassVar[bool] = False
    #: the inputs may be exchanged without changing a bit of the result
    is_commutative: ClassVar[bool] = False
    #: not a function of the language: made by syntax (indexing) or by the compiler only
    is_internal: ClassVar[bool] = False
    #: it reads only some elements of its first input, also where its whole result is needed
    is_selection: ClassVar[bool] = False
    #: its `source` depends on the numbers among its operands
    reads_numbers: ClassVar[bool] = False
    #: name of the kernel function that computes it, where no single array call does
    kernel: ClassVar[str] = ""
    #: the module that defines it, if that is not part of graphspec
    plugin: ClassVar[str] = ""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._attributes() == other._attributes()

    def __hash__(self) -> int:
        return hash((type(self), self._attributes()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in self.attributes().items())})"

    def _attributes(self) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in self.field_names])

    # subclasses name their operands, `infer(self, x, y)`: that is what `**named` is for, which none takes
    def infer(self, *inputs: Any, **named: Any) -> TensorType | tuple[TensorType, ...]:
        """The type of each result; raises TypeRuleError with a plain sentence."""
        raise NotImplementedError(self.name)

    def vjp(self, gy: Any, y: Any, /, *inputs: Any, **named: Any) -> tuple[Value | None, ...]:
        """The cotangent of each input, before broadcasting is undone; None where there is none.

        `gy` is the cotangent of the result `y`; for several results both are tuples.
        """
        raise NotImplementedError(f"{self.name} has no derivative")

    def batch(
        self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]
    ) -> Value | tuple[Value, ...]:
        """The op applied to `size` sets of operands at once; the results carry a new leading axis.

        The operands marked in `batched`, at least one, carry that axis; the others are the same in
        every set.  What an elementwise op does follows from broadcasting; the others say it.
        """
        if self.is_elementwise:
            return apply(self, *_aligned(inputs, batched))
        raise NotImplementedError(f"{self.name} has no batching rule")

    def alignment(self, *inputs: Any, **named: Any) -> Alignment:
        """Which axes run together: for each axis of the result, and for each input, the axis of the
        input along which it runs, or None.

        Element i along an axis of the result depends on element i along the input's axis only.  Of an
        input with None there the result needs more, or the input has no such axis.  To say less than
        is true is safe: nothing, here, but for elementwise ops.
        """
        if self.is_elementwise and isinstance(y := self.infer(*inputs), TensorType):
            return broadcast_alignment(y, *inputs)
        return ()

    def demand(self, region: Region, y: Any, /, *inputs: Any, **named: Any) -> Demand | None:
        """What a box of the result `y` needs of each input, and how it is made of that.

        None where it needs all of them, whole.  By default what `alignment` says.
        """
        types = [v.type for v in inputs]
        found = aligned_demand(self.alignment(*types), region, types, partial(apply, self))
        if found is None:
            return None
        boxes = [
            t.with_shape(box_shape(need.region, t.shape)) if need else t
            for need, t in zip(found.needs, types, strict=True)
        ]
        try:
            made = self.infer(*boxes)
        except TypeRuleError:  # sizes among the attributes: the op is for the whole result only
            return None
        return found if made == y.type.with_shape(box_shape(found.made, y.type.shape)) else None

    def summed(self, *inputs: Any, **named: Any) -> Alignment:
        """Which axes the op sums over: for each such sum, and for each input, the axis of the input, or None.

        The results for pieces of the inputs, cut along the axes of one sum, add up to the result.
        """
        return ()

    def grouped(self) -> tuple[tuple[Size, int, tuple[int | None, ...]], ...]:
        """Which axes run together block by block: how many blocks each of them has, the axis of the result,
        and for each input its axis, or None.

        Block i of the result depends on block i of the inputs only.
        """
        return ()

    def source(self, out: str, /, *inputs: Any, **named: Any) -> str:
        """A Python expression of `xp` (numpy or cupy) and the inputs.

        Of a view: the view itself.  Of another op: a call that writes the result into `out`.
        The attributes are numbers by then (`at`).
        """
        raise NotImplementedError(self.name)

    def numpy_source(self, out: str, /, *inputs: str) -> str:
        """What `source` says, as numpy does it with the least ado."""
        return self.source(out, *inputs)

    def element(self, *inputs: Any, **named: Any) -> str:
        """Of an elementwise op: one element of the result as a Python expression of those of the inputs.

        For compiled loops (see `runtime.loops`); empty where an op has none.
        """
        return ""

    def in_place(self, result: int, inputs: Sequence[TensorType]) -> Collection[int]:
        """The inputs, by position, whose memory a result may take where they are of its type.

        A kernel may write its result before it has read all inputs, so by default only single array calls
        may do so.
        """
        return range(len(inputs)) if self.is_elementwise and not self.kernel else ()

    def scratch(self, *inputs: Any, **named: Any) -> tuple[TensorType, ...]:
        """Working storage that the kernel wants while it runs; shapes are known numbers."""
        return ()

    @classmethod
    def make(cls, *inputs: Any, **statics: Any) -> Value | tuple[Value, ...]:
        """What a call in the language makes; by default one node, with the fields as keywords.

        Its signature is the language's: parameters annotated `Value` (or `Value | None`, or
        `*xs: Value`) are tensors, the others static.  An op overrides it to take arguments as users
        write them (`axis=-1`, a `-1` in a shape) and hand them to the node in one normal form.
        """
        return apply(cls(**statics), *inputs)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        """Operands and attributes from which this op's tests are generated."""
        return ()

    def at(self, env: Mapping[str, int]) -> Op:
        """This op with the sizes in its attributes replaced by numbers."""
        changed = {name: _known(value, env) for name, value in self.attributes().items()}
        return dataclasses.replace(self, **changed) if changed else self

    def attributes(self) -> dict[str, Any]:
        """The fields by name, for printing and for kernel calls."""
        return {name: getattr(self, name) for name in self.field_names}


def _known(value: Any, env: Mapping[str, int]) -> Any:
    if isinstance(value, Symbolic | Scalar):
        return evaluate_number(value, env)
    if isinstance(value, tuple):
        return tuple(_known(item, env) for item in value)
    return value


OPS: dict[str, type[Op]] = {}
#: functions of the language that build several nodes and cannot be definitions in it (`split`, `stack`)
FUNCTIONS: dict[str, Callable[..., Any]] = {}

F = TypeVar("F", bound=Callable[..., Any])


def function(make: F) -> F:
    """Register a function of the language under its name; its signature reads as that of `Op.make`."""
    name = make.__name__.rstrip("_")
    assert name not in FUNCTIONS, f"two functions are called {name}"
    assert name not in OPS, f"an op and a function are called {name}"
    FUNCTIONS[name] = make
    return make


T = TypeVar("T", bound=type[Op])


@dataclass_transform(frozen_default=True, eq_default=True)
def op(cls: T) -> T:
    """Make a subclass of `Op` a frozen dataclass and register it under its snake_case name."""
    # dataclass compiles methods for each class: a third of a millisecond, for most ops in vain
    has_fields = any("ClassVar" not in str(kind) for kind in inspect.get_annotations(cls).values())
    made = cast(T, dataclass(frozen=True, eq=False, repr=False)(cls)) if has_fields else cls
    made.name = made.__dict__.get("name") or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
    made.field_names = tuple(f.name for f in dataclasses.fields(made))
    assert made.name not in OPS, f"two ops are called {made.name}"
    OPS[made.name] = made
    return made


@op
class Input(Op):
    """A value that comes from outside: an input, a parameter, a buffer, noise, an argument of a body.

    Two `Input` nodes are never the same value, even with one name.
    """

    label: str
    type: TensorType
    is_internal = True

    def infer(self) -> TensorType:
        return self.type


@op
class Literal(Op):
    """A number as a scalar tensor; it may depend on sizes and is written into the program as text."""

    value: Number | bool
    type: TensorType
    is_internal = True

    def infer(self) -> TensorType:
        return self.type


@op
class Tap(Op):
    """y = x, an identity with a name that no pass may merge, drop or fuse over until differentiation
    is done: the gradient with respect to it is the part that flows through this very place.
    """

    label: str
    is_view = True
    is_internal = True

    def infer(self, x: TensorType) -> TensorType:
        return x

    def vjp(self, gy: Value, y: Value, *inputs: Value) -> tuple[Value | None, ...]:
        return (gy,)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        return apply(self, *inputs)

    def alignment(self, x: TensorType) -> Alignment:
        return broadcast_alignment(x, x)

    def source(self, out: str, *inputs: str) -> str:
        return inputs[0]


class Origin(NamedTuple):
    """The line that made a node, and the path of instantiation through blocks to it."""

    span: Span
    trace: tuple[tuple[str, Span], ...] = ()


class _Here(threading.local):
    """Where the nodes that a thread makes come from."""

    origin: Origin | None = None


_HERE = _Here()
_SERIAL = count()


class _MadeAt:
    """The context manager of `made_at`; passes enter it for each node, so it is no generator."""

    __slots__ = ("before", "origin")

    def __init__(self, origin: Origin | None) -> None:
        self.origin = origin

    def __enter__(self) -> None:
        self.before = _HERE.origin
        _HERE.origin = self.origin

    def __exit__(self, *error: object) -> None:
        _HERE.origin = self.before


def current_origin() -> Origin | None:
    """The origin that a node made now would carry."""
    return _HERE.origin


def made_at(origin: Origin | None) -> AbstractContextManager[None]:
    """Nodes made inside carry this origin."""
    return _MadeAt(origin)


def place(origin: Origin | None) -> None:
    """Nodes made from now on, within the innermost `made_at`, carry this origin."""
    _HERE.origin = origin


class Node:
    """One application of an op.  Immutable (for whoever checks types: at run time that would double what a
    node costs); equal only to itself; typed as soon as it exists.

    `serial` grows with creation, and inputs exist before their users: sorted by it, nodes are in
    topological order.
    """

    __slots__ = ("inputs", "op", "origin", "serial", "types", "values")

    op: Final[Op]
    inputs: Final[tuple[Value, ...]]
    types: Final[tuple[TensorType, ...]]
    values: Final[tuple[Value, ...]]
    origin: Final[Origin | None]
    serial: Final[int]

    def __init__(
        self, op: Op, inputs: tuple[Value, ...], types: tuple[TensorType, ...] | None = None
    ) -> None:
        """`types` are given where they are known: where a node of the same op had inputs of these types."""
        if types is None:
            found = op.infer(*[v.type for v in inputs])
            types = (found,) if isinstance(found, TensorType) else found
        self.op = op
        self.inputs = inputs
        self.types = types
        self.origin = _HERE.origin
        self.serial = next(_SERIAL)
        self.values = (
            (Value(self, 0, types[0]),)  # as nearly all are
            if len(types) == 1
            else tuple([Value(self, i, type) for i, type in enumerate(types)])
        )

    def __repr__(self) -> str:
        return f"<{self.op.name} #{self.serial}>"


def with_inputs(node: Node, inputs: tuple[Value, ...]) -> Node:
    """A new node of the same op; what the op makes of inputs of the same types is known."""
    for old, new in zip(node.inputs, inputs, strict=True):
        if old is not new and old.type is not new.type and old.type != new.type:
            return Node(node.op, inputs)
    return Node(node.op, inputs, node.types)


class Value:
    """One result of a node, made with it and equal only to itself.  Arithmetic on values makes nodes."""

    __slots__ = ("index", "node", "type")

    node: Final[Node]
    index: Final[int]
    type: Final[TensorType]

    def __init__(self, node: Node, index: int, type: TensorType) -> None:
        self.node = node
        self.index = index
        self.type = type

    @property
    def dtype(self) -> Any:
        return self.type.dtype

    @property
    def shape(self) -> tuple[Any, ...]:
        return self.type.shape

    def __repr__(self) -> str:
        return f"<{self.node.op.name} #{self.node.serial}.{self.index} {self.type}>"

    def __add__(self, other: Operand) -> Value:
        return _binary("add", self, other)

    def __radd__(self, other: Operand) -> Value:
        return _binary("add", other, self)

    def __sub__(self, other: Operand) -> Value:
        return _binary("sub", self, other)

    def __rsub__(self, other: Operand) -> Value:
        return _binary("sub", other, self)

    def __mul__(self, other: Operand) -> Value:
        return _binary("mul", self, other)

    def __rmul__(self, other: Operand) -> Value:
        return _binary("mul", other, self)

    def __truediv__(self, other: Operand) -> Value:
        return _binary("div", self, other)

    def __rtruediv__(self, other: Operand) -> Value:
        return _binary("div", other, self)

    def __pow__(self, other: Operand) -> Value:
        return _binary("pow", self, other)

    def __neg__(self) -> Value:
        return apply(OPS["neg"](), self)

    def __matmul__(self, other: Value) -> Value:
        return apply(OPS["matmul"](), self, other)


Operand = Value | int | float | Symbolic | Scalar


def apply(op: Op, *inputs: Value) -> Value:
    """A new node of an op with one result; raises TypeRuleError where the op refuses its operands."""
    (value,) = Node(op, inputs).values
    return value


def literal(value: Number | bool, dtype: Any) -> Value:
    """A scalar constant of the given dtype."""
    return apply(Literal(value, TensorType(dtype)))


def operand(value: Operand, like: Value) -> Value:
    """`value` itself, or a number as a literal of the dtype of `like`."""
    return value if isinstance(value, Value) else literal(value, like.dtype)


def broadcast_alignment(y: TensorType, *inputs: TensorType) -> Alignment:
    """The alignment of operands that are broadcast to the type `y`, from their last axis on."""
    return tuple(
        tuple(axis if (axis := k - y.rank + x.rank) >= 0 and x.shape[axis] == size else None for x in inputs)
        for k, size in enumerate(y.shape)
    )


def primitive(name: str, *attributes: Any) -> Op:
    """The primitive of a name, with attributes in the order of its fields."""
    return OPS[name](*attributes)


def _aligned(inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> list[Value]:
    """Operands of one rank, but for scalars: axes of size 1 are put in front, behind the new axis."""
    ranks = [len(x.shape) - has_axis for x, has_axis in zip(inputs, batched, strict=True)]
    rank = max(ranks)
    made: list[Value] = []
    for x, own, has_axis in zip(inputs, ranks, batched, strict=True):
        lead = x.shape[:1] if has_axis else (1,) * (rank > 0 and own > 0)
        shape = (*lead, *(1,) * (rank - own), *x.shape[has_axis:]) if lead else x.shape
        made.append(x if shape == x.shape else apply(primitive("reshape", shape), x))
    return made


def _binary(name: str, left: Operand, right: Operand) -> Value:
    like = left if isinstance(left, Value) else right
    assert isinstance(like, Value)
    return apply(OPS[name](), operand(left, like), operand(right, like))


__all__ = [
    "FUNCTIONS",
    "OPS",
    "Alignment",
    "Input",
    "Literal",
    "Node",
    "Op",
    "Operand",
    "Origin",
    "Tap",
    "TypeRuleError",
    "Value",
    "apply",
    "broadcast_alignment",
    "function",
    "literal",
    "made_at",
    "op",
    "operand",
]
