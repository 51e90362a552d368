"""Does what follows a convolution where its result is stored, instead of in a pass of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from graphspec.ir import Graph, Literal, Node, Rewriter, TensorType, Value, apply, made_at, with_inputs
from graphspec.ops.arithmetic import Add
from graphspec.ops.comparison import LessEqual, Where
from graphspec.ops.convolution import Convolution, ConvolutionEpilogue
from graphspec.transforms.broadcasting import make
from graphspec.transforms.changed import Changed

#: whether a kernel can do more to the result of a convolution of operands of these types
Accepts = Callable[[Convolution, TensorType, TensorType], bool]


def epilogues(graph: Graph, env: Mapping[str, int], stages: Mapping[Node, int], accepts: Accepts) -> Changed:
    """Replace a convolution whose result gets a bias by channel, and then a relu, by one op.

    Where nothing else uses what is in between: a mask of what the relu takes, `h <= 0`, is that of what it
    gives.

        where(h <= 0, 0, h) of h = convolution(x, w) + b   becomes   convolution_epilogue(x, w, b)
    """
    users: dict[Value, list[Node]] = {}
    for node in graph.nodes:
        for value in dict.fromkeys(node.inputs):
            users.setdefault(value, []).append(node)
    outputs = set(graph.outputs.values())
    found: dict[Node, _Epilogue] = {}
    for node in graph.nodes:
        epilogue = _epilogue(node, users, outputs)
        if epilogue is not None:
            op = epilogue.convolution.op.at(env)
            assert isinstance(op, Convolution)
            if accepts(op, *(value.type.at(env) for value in epilogue.convolution.inputs)):
                found[node] = epilogue
    if not found:
        return Changed(graph)
    gone = {node for epilogue in found.values() for node in epilogue.gone}
    rewriter, own = Rewriter(), dict[Node, int]()
    for node in graph.nodes:
        if not node.inputs or node in gone:
            continue
        if node in found:
            made, bias = found[node].run(rewriter)
            if node in stages:
                own[bias] = own[made] = stages[node]
            continue
        with made_at(node.origin):  # all are made anew: by age nodes are run
            copy = with_inputs(node, tuple(map(rewriter, node.inputs)))
        rewriter.mapping.update(zip(node.values, copy.values, strict=True))
    names = {
        name: rewriter(v) for name, v in graph.names.items() if v in rewriter.mapping or not v.node.inputs
    }
    return Changed(
        Graph({name: rewriter(v) for name, v in graph.outputs.items()}, names), rewriter.mapping, own
    )


@dataclass(frozen=True, eq=False)
class _Epilogue:
    """A convolution with the sum that follows it, and the relu after that with its masks, if there is one."""

    convolution: Node
    bias: Value
    add: Node
    relu: Node | None = None
    masks: tuple[Node, ...] = ()

    @property
    def gone(self) -> tuple[Node, ...]:
        """What is not computed any more, besides the sum."""
        return (self.convolution, *self.masks, *([self.relu] if self.relu else []))

    def run(self, rewriter: Rewriter) -> tuple[Node, Node]:
        """Make the op, and the bias that it reads; and the masks of what it gives."""
        op, last = self.convolution.op, self.relu or self.add
        assert isinstance(op, Convolution)
        x, weight = map(rewriter, self.convolution.inputs)
        with made_at(last.origin):
            bias = make("reshape", rewriter(self.bias), shape=weight.shape[:1])
            own = op.stride, op.padding, op.dilation, op.groups
            y = apply(ConvolutionEpilogue(*own, is_rectified=self.relu is not None), x, weight, bias)
        rewriter.mapping[last.values[0]] = y
        for mask in self.masks:
            with made_at(mask.origin):
                rewriter.mapping[mask.values[0]] = apply(mask.op, y, mask.inputs[1])
        return y.node, bias.node


def _epilogue(add: Node, users: Mapping[Value, list[Node]], outputs: set[Value]) -> _Epilogue | None:
    """The convolution that a node adds a bias to, with the relu after it if there is one."""
    if not isinstance(add.op, Add):
        return None
    for value, bias in (add.inputs, reversed(add.inputs)):
        convolution = value.node
        if (
            isinstance(convolution.op, Convolution)
            and users[value] == [add]
            and value not in outputs
            and value is not bias
            and _is_by_channel(bias, value)
        ):
            break
    else:
        return None
    (h,) = add.values
    masks = [user for user in users.get(h, ()) if _is_mask(user, h)]
    rest = [user for user in users.get(h, ()) if user not in masks]
    if h not in outputs and len(rest) == 1 and any(_is_relu(rest[0], mask, h) for mask in masks):
        return _Epilogue(convolution, bias, add, rest[0], tuple(masks))
    return _Epilogue(convolution, bias, add)


def _is_by_channel(bias: Value, result: Value) -> bool:
    """Whether a value has an element for each channel of a result, and is broadcast along its other axes."""
    sizes = (1,) * (4 - len(bias.shape)) + bias.shape
    return bias.dtype is result.dtype and sizes == (1, result.shape[1], 1, 1)


def _is_mask(node: Node, h: Value) -> bool:
    """Whether a node is h <= 0."""
    return isinstance(node.op, LessEqual) and node.inputs[0] is h and _is_zero(node.inputs[1])


def _is_relu(node: Node, mask: Node, h: Value) -> bool:
    """Whether a node is 0 where the mask of h is true, and h elsewhere."""
    if not isinstance(node.op, Where) or node.types[0] != h.type:
        return False
    condition, zero, x = node.inputs
    return condition is mask.values[0] and x is h and _is_zero(zero)


def _is_zero(value: Value) -> bool:
    return isinstance(value.node.op, Literal) and value.node.op.value == 0
