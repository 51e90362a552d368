"""From a plan to Python source: a straight-line program, one line for each call of the array library.

The program is text that a person can read: values keep the names of the spec, comments say which line
of it comes next.  Text of the spec enters only through `repr`, into comments; names are made safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphspec.diagnostics import Span
from graphspec.ir import DType, Node, Op, Value
from graphspec.ops.fused import Fused
from graphspec.runtime.chains import LONGEST, PRODUCT, Chain
from graphspec.runtime.cost import flops
from graphspec.runtime.fused import block_lines
from graphspec.runtime.layout import find_strides, is_ready_for_blas, plain_strides
from graphspec.runtime.loops import loop
from graphspec.runtime.parts import Part, Shape, Writer
from graphspec.runtime.plan import LARGE, Plan, Slot, Step, nbytes
from graphspec.runtime.text import Namer, comment_for, line_of, number_text, storage, text_of

#: lines of steps per function: Python compiles very long functions slowly
PART_LINES = 1000

_OWNED = '''
def owned(view):
    """The array itself if it is laid out plainly and may be written, else a copy."""
    flags = view.flags
    return view if flags.c_contiguous and getattr(flags, "writeable", True) else view.copy()
'''


@dataclass(frozen=True, eq=False)
class Program:
    """The text of a program.

    `bind(arena, xp, kernels)` in it gives `run`, which takes the arrays of `inputs` in their order, then
    those to be written, of the plan's `placed`, and gives the results in the order of the plan.  `nodes` says
    which node each line of the text (from 1) belongs to; `kernels` are the kernels it calls.
    """

    text: str
    inputs: tuple[str, ...]
    kernels: tuple[str, ...]
    nodes: dict[int, Node]
    #: compiled loops: their names among the kernels, by their texts
    loops: dict[str, str]


def emit(
    plan: Plan, backend: str = "numpy", *, watched: bool = False, timed: bool = False, chained: bool = False
) -> Program:
    """The program of a plan.  Its text is the same for the same graph, whenever the graph was made.

    A watched program calls `kernels.watch(i, operands, results)` after its step i, and also after views.
    A timed one calls `kernels._clock(i)` after each step i that does something, and `kernels._clock(-1)`
    before the first.  Steps of a chained one that follow one another are one call where that can be, if
    nobody wants to know of each of them.
    """
    return _Emitter(plan, backend, watched, timed, chained and not (watched or timed)).emit()


class _Emitter:
    def __init__(self, plan: Plan, backend: str, watched: bool, timed: bool, chained: bool) -> None:
        self.plan = plan
        self.backend = backend
        self.watched = watched
        self.timed = timed
        self.chain = Chain() if chained else None
        self.namer = Namer()
        self.kernels: dict[str, None] = {}
        self.loops: dict[str, str] = {}
        self.input_names = {name: self.namer.name(name) for name in plan.inputs}
        self.names: dict[Value, str] = {v: self.input_names[n] for n, v in plan.inputs.items()}
        self.ops = {step.node: step.op for step in plan.steps}
        self.strides = find_strides(plan) if backend == "numpy" else {}
        self.fixed_views: set[Value] = set()  # set up once, like the storage they show
        self.constants: set[Value] = set()  # those of numbers, which are the same even if they are copies
        #: inputs and what is allocated at each call: the name of the array, and the shape that it has
        self.held: dict[Value, tuple[str, Shape]] = {
            v: (self.names[v], plan.types[v].shape) for v in plan.inputs.values()
        }
        self.results: dict[str, str] = {}
        self.parts = [Part()]
        self.place: Span | None = None
        self.count: dict[str, int] = {}

    @property
    def part(self) -> Part:
        return self.parts[-1]

    def emit(self) -> Program:
        if self.timed:
            self.line("kernels._clock(-1)", None)
        for i, step in enumerate(self.plan.steps):
            if self.part.steps >= PART_LINES and not self.plan.cuts:
                self.parts.append(Part())
                self.place = None
            self.pause(i)
            before = len(self.part.lines)
            if self.chain is not None and self.link(step, self.chain):
                continue
            if step.copies or not step.op.is_view:
                self.close_chain()
            self.step(step)
            if self.watched:
                self.watch(i, step)
            for name in step.copies:
                value, _ = self.plan.results[name]
                self.copy(name, self.read(value), step.node)
            if self.timed and len(self.part.lines) > before:
                self.line(f"kernels._clock({i})", None)
        self.close_chain()
        self.pause(len(self.plan.steps))
        self.place = None
        for name, (value, is_copy) in self.plan.results.items():
            if name in self.results:
                continue
            if is_copy:
                self.copy(name, self.read(value), None)
            else:
                self.results[name] = self.read(value)
        return self.assemble()

    # --- steps ---

    def pause(self, position: int) -> None:
        """The breaks at a position: what the program gives there, and what it is given."""
        for cut in self.plan.cuts:
            if cut.before == position:
                gives = f"yield [{', '.join(map(self.read, cut.gives))}]"
                takes = ", ".join(self.names[value] for value in cut.takes)
                self.line(f"[{takes}] = {gives}" if takes else gives, None)
                self.place = None

    def step(self, step: Step) -> None:
        node, op = step.node, step.op
        if op.is_view:
            self.view(step)
            return
        self.comment(node)
        if isinstance(op, Fused) and op.is_compiled:
            self.loop(step, op)
            return
        outs = [self.out(value, node) for value in node.values]
        out = outs[0] if len(outs) == 1 else f"({', '.join(outs)})"
        operands = [self.operand(value, op) for value in node.inputs] if not isinstance(op, Fused) else []
        if isinstance(op, Fused):
            self.blocks(step, op, outs)
        elif op.name == "matmul" and self.is_direct(step):
            x, y = operands
            if all(self.plan.types[value].rank == 2 for value in node.inputs):
                self.line(f"{x}.dot({y}, {out})", node)  # half of what `matmul` takes besides the product
            else:
                self.line(f"xp.matmul({x}, {y}, out={out})", node)
        elif op.kernel:
            self.line(self.kernel_line(step, out, operands), node)
        else:
            self.line(self.source(op, out, *operands), node)
        self.part.steps += 1

    def link(self, step: Step, chain: Chain) -> bool:
        """Make a step part of the chain, if it can be."""
        node, op, inputs = step.node, step.op, step.node.inputs
        if op.is_view or step.copies or any(self.strides[value] is None for value in inputs):
            return False
        if len(chain.calls) == LONGEST:
            self.close_chain()
            return self.link(step, self.chain or chain)
        if isinstance(op, Fused):
            text, arguments = self.loop_call(step, op)
            chain.loop(text, arguments)
            chain.alone.append((lambda: self.loop_line(text, arguments), node))
        elif op.name == "matmul" and self.is_short(step):
            operands = [self.matrix(value) for value in inputs]
            out = self.out(node.values[0], node)
            chain.product([out, *operands])
            chain.alone.append((lambda: f"{operands[0]}.dot({operands[1]}, {out})", node))
        elif op.name == "indexing" and len(inputs) == 2 and all(map(self.is_plain, inputs)):
            line = self.kernel_line(step, self.out(node.values[0], node), list(map(self.read, inputs)))
            arrays = [self.shaped(value, (self.plan.types[value].size,)) for value in (*node.values, *inputs)]
            chain.check(arrays, op.attributes()["sizes"][0], line, node)
            chain.alone.append((lambda: line, node))
        else:
            return False
        self.part.steps += 1
        return True

    def is_short(self, step: Step) -> bool:
        """Whether a product of two matrices is little work."""
        x, y = (self.plan.types[value] for value in step.node.inputs)
        is_flat = x.rank == y.rank == 2 and x.dtype in (DType.F32, DType.F64)
        return is_flat and 0 < flops(step.op, [x, y], step.types[0]) <= 2 * PRODUCT

    def is_plain(self, value: Value) -> bool:
        """Whether a value's elements follow one another."""
        return self.strides[value] == plain_strides(self.plan.types[value])

    def matrix(self, value: Value) -> str:
        """A matrix as an argument of a chain: transposed there, if it is a transposed one."""
        op = self.ops.get(value.node)
        if op is not None and op.name == "transpose" and op.attributes()["axes"] == (1, 0):
            return f"{self.read(value.node.inputs[0])}.T"
        return self.read(value)

    def close_chain(self) -> None:
        """The call of the steps in the chain, which ends here."""
        chain = self.chain
        if chain is None or not chain.calls:
            return
        self.chain = Chain()
        make, node = chain.alone[-1]
        self.comment(node)
        if len(chain.calls) == 1:
            self.line(make(), node)
            return
        call = self.loop_line(chain.text(), list(chain.parameters))
        self.line(f"wrong = {call}" if chain.checks else call, node)
        for k, (text, of) in enumerate(chain.checks, start=1):
            self.line(f"if wrong == {k}:", of)
            self.line(f"    {text}", of)

    def kernel_line(self, step: Step, out: str, operands: Sequence[str]) -> str:
        """The call of a kernel."""
        name = step.op.kernel
        self.kernels[name] = None
        scratch = [self.scratch(slot, step.node) for slot in step.scratch]
        attributes = [f"{key}={text_of(value)}" for key, value in step.op.attributes().items()]
        return f"kernels.{name}({', '.join(['xp', out, *operands, *scratch, *attributes])})"

    def loop(self, step: Step, op: Fused) -> None:
        """The call of a compiled loop."""
        self.line(self.loop_line(*self.loop_call(step, op)), step.node)
        self.part.steps += 1

    def loop_line(self, text: str, arguments: Sequence[str]) -> str:
        name = self.loops.setdefault(text, f"loop_{len(self.loops) + 1}")
        return f"kernels.{name}({', '.join(arguments)})"

    def loop_call(self, step: Step, op: Fused) -> tuple[str, list[str]]:
        """The text of a compiled loop and its arguments: it takes its arrays without axes of size 1."""
        inputs = step.node.inputs
        types = [self.plan.types[value] for value in inputs]
        numbers = {k: self.plan.numbers[v] for k, v in enumerate(inputs) if v in self.plan.numbers}
        places = {self.plan.in_place[v]: j for j, v in enumerate(step.node.values) if v in self.plan.in_place}
        overwritten = {k: places[v] for k, v in enumerate(inputs) if v in places}
        made = loop(op, types, [self.strides[v] for v in inputs], numbers, overwritten)
        arguments: list[str] = []
        for value, shape in zip(step.node.values, made.results, strict=True):
            self.out(value, step.node, shape)
            arguments.append(self.shaped(value, shape))
        for value, own in zip(inputs, made.operands, strict=True):
            if own is not None:
                arguments.append(self.shaped(value, own))
        arguments += [self.scratch(slot, step.node) for slot in step.scratch]
        return made.text, arguments

    def blocks(self, step: Step, op: Fused, outs: list[str]) -> None:
        """A group of ops, block by block."""
        node = step.node
        types = [self.plan.types[value] for value in node.inputs]
        names = [self.read(value) for value in node.inputs]
        buffers = [self.scratch(slot, node) for slot in step.scratch]
        numbers = {
            self.names[v]: number_text(self.plan.numbers[v], v.dtype)
            for v in node.inputs
            if v in self.plan.numbers
        }

        def call(member: Op, out: str, operands: Sequence[str]) -> str:
            if member.kernel or member.reads_numbers:
                operands = [numbers.get(operand, operand) for operand in operands]
            if not member.kernel:
                return self.source(member, out, *operands)
            self.kernels[member.kernel] = None
            return f"kernels.{member.kernel}({', '.join(['xp', out, *operands])})"

        made = block_lines(op, types, names, outs, buffers, call)
        for text in made.before:
            self.line(text, node)
        if made.head:
            name = self.namer.name("blocks")
            pairs = [
                f"slice({a}, {b})" if "portion" not in made.head else f"(slice({a}, {b}), slice({b - a}))"
                for a, b in made.ranges
            ]
            self.part.setup.append((f"{name} = [{', '.join(pairs)}]", node))
            self.line(made.head.format(blocks=name), node)
        for text in made.body:
            self.line(f"    {text}" if made.head else text, node)

    def shaped(self, value: Value, shape: Shape) -> str:
        """The array of a value in another shape, set up once where it is the same array at each call."""
        held = self.whole(value)
        if held is not None:
            return self.reshaped(held, shape)
        array = self.read(value)
        if shape == self.plan.types[value].shape:
            return array
        text = f"{array}.reshape({text_of(shape)})"
        if value not in self.part.bound:
            return text
        if (array, shape) not in self.part.shaped:
            name = self.part.shaped[array, shape] = self.namer.name(f"{array}_flat")
            self.part.setup.append((f"{name} = {text}", value.node))
        return self.part.shaped[array, shape]

    def whole(self, value: Value) -> Value | None:
        """The value that is held and has a value's elements in their order: itself, or what it reshapes."""
        while value not in self.held and value.node.op.name == "reshape":
            value = value.node.inputs[0]
        return value if value in self.held else None

    def reshaped(self, held: Value, shape: Shape, name: str = "") -> str:
        """The array of a value that is held in a shape, by that name if it has none yet."""
        array, own = self.held[held]
        if array not in self.part.makes:
            self.part.needs[array] = None
        if shape == own:
            return array
        if (array, shape) not in self.part.shaped:
            made = self.part.shaped[array, shape] = name or self.namer.name(f"{array}_flat")
            self.line(f"{made} = {array}.reshape({text_of(shape)})", held.node)
            self.part.makes[made] = None
        return self.part.shaped[array, shape]

    def is_direct(self, step: Step) -> bool:
        """Whether a product of matrices is one call of numpy, which gives it to the BLAS as it is."""
        x, y = (self.plan.types[value] for value in step.node.inputs)
        is_stack_by_matrix = x.rank > 2 and y.rank <= 2
        is_outer = min(x.rank, y.rank) > 1 and x.shape[-1] == 1
        return (
            self.backend == "numpy"
            and not is_stack_by_matrix
            and not is_outer
            and all(is_ready_for_blas(self.plan.types[v], self.strides, v) for v in step.node.inputs)
        )

    def source(self, op: Op, out: str, *operands: str) -> str:
        return op.numpy_source(out, *operands) if self.backend == "numpy" else op.source(out, *operands)

    def watch(self, index: int, step: Step) -> None:
        """Show what a step has read and made."""
        operands = [self.operand(value, step.op) for value in step.node.inputs]
        results = [self.read(value) for value in step.node.values]
        shown = ", ".join(
            f"({', '.join(arrays)}{',' * (len(arrays) == 1)})" for arrays in (operands, results)
        )
        self.line(f"kernels.watch({index}, {shown})", step.node)

    def view(self, step: Step) -> None:
        """A view is set up once where it surely stays one, of plain storage in the arena, or of a number.

        A view of a view may turn out a copy (a transposed array reshaped), so it is made at each call,
        and so is one without axes, which numpy may give as a number: when it is read.
        """
        value, viewed = step.node.values[0], step.node.inputs[0]
        if self.whole(value) is not None:
            return
        self.names[value] = self.name_of(value)
        is_fixed = viewed in self.plan.slots or viewed in self.constants
        if viewed in self.plan.numbers or (is_fixed and step.types[0].shape):
            self.fixed_views.add(value)
            if viewed not in self.plan.slots:
                self.constants.add(value)

    def out(self, value: Value, node: Node, shape: Shape | None = None) -> str:
        """The array that a node writes into; a result of the program is allocated here, in this shape."""
        name = self.names[value] = self.name_of(value)
        type = self.plan.types[value]
        if value not in self.plan.own:
            if value in self.plan.placed.values():
                self.held[value] = name, type.shape
            return self.read(value)
        is_large = self.backend == "numpy" and nbytes(type) >= LARGE
        make = "kernels.empty_result" if is_large else "xp.empty"
        shape = type.shape if shape is None else shape
        self.line(f'{name} = {make}({text_of(shape)}, "{type.dtype.array_name}")', node)
        self.part.makes[name] = None
        self.held[value] = name, shape
        return name

    def operand(self, value: Value, op: Op) -> str:
        """What an op reads: elementwise ops take numbers as they are, others as arrays without axes.

        numpy reads such arrays faster than Python's numbers, so there only kernels and ops that look at
        the numbers get them.
        """
        number = self.plan.numbers.get(value)
        is_array = self.backend == "numpy" and not (op.kernel or op.reads_numbers)
        if number is None or is_array or not op.is_elementwise:
            return self.read(value)
        return number_text(number, value.dtype)

    def copy(self, result: str, source: str, node: Node | None) -> None:
        name = self.results[result] = self.namer.name(f"{result}_result")
        self.line(f'{name} = xp.array({source}, order="C")', node)
        self.part.makes[name] = None

    def scratch(self, slot: Slot, node: Node) -> str:
        name = self.namer.name(f"{self.names[node.values[0]]}_scratch")
        self.part.setup.append((f"{name} = {storage(slot)}", node))
        return name

    # --- names ---

    def read(self, value: Value) -> str:
        """The name of an array, which is set up in the current part or handed to it if need be."""
        part = self.part
        if value in part.bound:
            return self.names[value]
        held = self.whole(value)
        if held is not None:
            label = self.plan.labels.get(value, "")
            return self.reshaped(held, self.plan.types[value].shape, label and self.namer.name(label))
        slot, number = self.plan.slots.get(value), self.plan.numbers.get(value)
        if slot is not None:
            other = self.plan.in_place.get(value)
            text = self.names[other] if other in part.bound else storage(slot)
        elif number is not None:
            if value not in self.names:
                self.names[value] = self.namer.name(self.plan.labels.get(value, "number"))
            text = f'xp.asarray({number_text(number, value.dtype)}, dtype="{value.dtype.array_name}")'
        elif value in self.fixed_views:
            text = self.source(self.ops[value.node], "", *map(self.read, value.node.inputs))
        elif value.node in self.ops and self.ops[value.node].is_view:
            return self.made_view(value)
        else:
            name = self.names[value]
            if name not in part.makes:
                part.needs[name] = None
            return name
        part.bound.add(value)
        part.setup.append((f"{self.names[value]} = {text}", value.node))
        return self.names[value]

    def made_view(self, value: Value) -> str:
        """A view that is made at each call, in each part of the program that reads it."""
        name, op = self.names[value], self.ops[value.node]
        if name not in self.part.makes:
            text = self.source(op, "", *map(self.read, value.node.inputs))
            is_array = bool(self.plan.types[value].shape)
            self.line(f"{name} = {text}" if is_array else f"{name} = xp.asarray({text})", value.node)
            self.part.makes[name] = None
            self.part.steps += 1
        return name

    def name_of(self, value: Value) -> str:
        label = self.plan.labels.get(value)
        if label is not None:
            return self.namer.name(label)
        op = value.node.op.name
        self.count[op] = self.count.get(op, 0) + 1
        return self.namer.name(f"{op}_{self.count[op]}")

    # --- text ---

    def line(self, text: str, node: Node | None) -> None:
        self.part.lines.append((text, node))

    def comment(self, node: Node) -> None:
        """Say which line of the spec comes next, where it is another one than before."""
        span = node.origin.span if node.origin else None
        if span is None or (self.place and line_of(span) == line_of(self.place)):
            return
        self.place = span
        self.line(comment_for(span), None)

    def assemble(self) -> Program:
        self.part.needs |= dict.fromkeys(
            name for name in self.results.values() if name not in self.part.makes
        )
        writer = Writer()
        writer.add(f'"""{self.summary()}"""')
        writer.add("")
        writer.add("from math import inf, nan")
        views = {
            name
            for name, (v, is_copy) in self.plan.results.items()
            if v.node.op.is_view and not is_copy and self.whole(v) is None
        }
        if views:
            for text in ["", *_OWNED.splitlines()]:
                writer.add(text)
        taken = {value for cut in self.plan.cuts for value in cut.takes}
        inputs = [self.names[value] for value in self.plan.inputs.values() if value not in taken]
        inputs += [self.names[value] for value in self.plan.placed.values()]
        returned = [(name, self.results[name]) for name in self.plan.results]
        given = [f"owned({array})" if name in views else array for name, array in returned]
        last = f"{'yield' if self.plan.cuts else 'return'} ({', '.join(given)}{',' * (len(given) == 1)})"
        if len(self.parts) == 1:
            writer.function("bind", self.parts[0], inputs, last)
        else:
            for i, part in enumerate(self.parts):
                gives = self.gives(i)
                end = last if i == len(self.parts) - 1 else f"return [{', '.join(gives)}]"
                writer.function(f"part_{i + 1}", part, list(part.needs), end)
            self.call_parts(writer, inputs)
        return Program(writer.text(), tuple(self.plan.inputs), tuple(self.kernels), writer.nodes, self.loops)

    def gives(self, i: int) -> list[str]:
        """The arrays of part i that later parts read."""
        wanted = {name for part in self.parts[i + 1 :] for name in part.needs}
        return [name for name in self.parts[i].makes if name in wanted]

    def call_parts(self, writer: Writer, inputs: Sequence[str]) -> None:
        """The function that calls the parts, one after the other."""
        writer.add("")
        writer.add("")
        writer.add("def bind(arena, xp, kernels):")
        calls = [self.namer.name(f"run_{i + 1}") for i in range(len(self.parts))]
        for i, call in enumerate(calls):
            writer.add(f"    {call} = part_{i + 1}(arena, xp, kernels)")
        writer.add("")
        writer.add(f"    def run({', '.join(inputs)}):")
        for i, part in enumerate(self.parts):
            call = f"{calls[i]}({', '.join(part.needs)})"
            gives = self.gives(i)
            if i == len(self.parts) - 1:
                writer.add(f"        return {call}")
            else:
                writer.add(f"        [{', '.join(gives)}] = {call}" if gives else f"        {call}")
        writer.add("")
        writer.add("    return run")

    def summary(self) -> str:
        plan = self.plan
        steps = "1 step" if len(plan.steps) == 1 else f"{len(plan.steps)} steps"
        return f"{steps} on {self.backend}; arena of {plan.arena_bytes} bytes for {plan.intermediate_bytes}."
