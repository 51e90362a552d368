"""Facts about the matrix product, convolution and pooling, on symbolic sizes and on arrays."""

from __future__ import annotations

import numpy as np
import pytest

from graphspec import testing
from graphspec.ir import DType, Input, TensorType, TypeRuleError, apply, symbol
from graphspec.ops.windows import window_count
from tests.ops.graphs import compute, gradients, make, typed

N, H, W = symbol("N"), symbol("H"), symbol("W")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((5, 2, 3), (3,)),
        ((3,), (5, 3, 2)),
        ((5, 1, 2, 3), (4, 3, 2)),
        ((4, 2, 3), (3, 6)),
    ],
)
def test_matmul_is_that_of_numpy(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(left), rng.standard_normal(right)
    np.testing.assert_allclose(compute("matmul", x, y), x @ y, rtol=1e-13)


def test_matmul_of_a_repeated_operand_still_reaches_the_blas() -> None:
    from graphspec.runtime.kernels.matmul import _blas_ready

    row = np.broadcast_to(np.ones((1, 64), "f4"), (64, 64))
    assert _blas_ready(row).flags.c_contiguous
    for ready in (np.ones((3, 4)), np.ones((3, 4)).T, np.ones((3, 8))[:, :4], np.ones((2, 3, 4))):
        assert _blas_ready(ready) is ready


def test_the_gradient_of_a_weight_used_on_a_batch_is_one_product() -> None:
    x, weight = typed(N, 7, 3), typed(3, 5)
    y = x @ weight
    _, gw = y.node.op.vjp(y, y, x, weight)
    assert gw is not None
    assert gw.shape == (3, 5)


def test_matmul_says_which_sizes_differ_and_that_a_transpose_fits() -> None:
    assert str((typed(N, 3) @ typed(3, 5)).type) == "f32[N, 5]"
    with pytest.raises(TypeRuleError, match="sizes are 3 and 5") as refused:
        typed(N, 3) @ typed(5, 3)
    assert "transpose" in refused.value.help
    with pytest.raises(TypeRuleError, match="sizes are N and M"):
        typed(3, N) @ typed(symbol("M"), 3)
    with pytest.raises(TypeRuleError, match="matrices and vectors"):
        typed(3) @ typed()


def test_the_number_of_windows_on_a_symbolic_axis() -> None:
    assert str(window_count(H, 3, 1, 1, 1)) == "H"
    assert str(window_count(H, 2, 2, 0, 1)) == "H // 2"
    assert str(window_count(H, 5, 1, 0, 1)) == "H - 4"
    y = make("convolution", typed(N, 3, H, W), typed(8, 3, 3, 3), stride=2, padding=1)
    assert str(y.type) == "f32[N, 8, (H + 1) // 2, (W + 1) // 2]"


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2])
def test_the_number_of_windows_is_what_counting_gives(kernel: int, stride: int, dilation: int) -> None:
    extent = dilation * (kernel - 1) + 1
    for padding in range(extent // 2 + 1):
        for size in range(max(extent - 2 * padding, 1), 14):
            starts = range(-padding, size + padding, stride)
            inside = sum(start + extent <= size + padding for start in starts)
            assert window_count(size, kernel, stride, padding, dilation) == inside
            # as torch.nn.MaxPool2d has it: rounded up, but no window may start in the padding that follows
            up = -((extent - size - 2 * padding) // stride) + 1
            up -= starts[0] + (up - 1) * stride >= size
            assert window_count(size, kernel, stride, padding, dilation, ceil_mode=True) == up


def test_a_convolution_with_symbolic_sizes_is_differentiated_before_they_are_known() -> None:
    x = apply(Input("x", TensorType(DType.F64, (N, 2, H, W))))
    weight = apply(Input("weight", TensorType(DType.F64, (3, 2, 3, 2))))
    y = make("convolution", x, weight, stride=(2, 1), padding=1)
    gy = apply(Input("gy", y.type))
    gx, gw = testing.cotangents(y, gy, [x, weight])
    assert gx is not None
    assert gw is not None
    assert (gx.type, gw.type) == (x.type, weight.type)
    rng = np.random.default_rng(0)
    given = {x: rng.standard_normal((2, 2, 5, 4)), weight: rng.standard_normal((3, 2, 3, 2))}
    given[gy] = rng.standard_normal((2, 3, 3, 5))
    env = {"N": 2, "H": 5, "W": 4}
    found = testing.evaluate([gx, gw], given, env)
    expected = gradients("convolution", given[x], given[weight], gy=given[gy], stride=(2, 1), padding=1)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_convolution_works_through_more_images_than_fit_into_its_storage() -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((9, 8, 30, 30)), rng.standard_normal((4, 8, 3, 3))
    whole = compute("convolution", x, weight)
    storage = make("convolution", typed(*x.shape, dtype=DType.F64), typed(*weight.shape, dtype=DType.F64))
    (columns,) = storage.node.op.scratch(*(v.type for v in storage.node.inputs))
    assert 0 < columns.size < 9 * 72 * 28 * 28
    for n in range(9):
        np.testing.assert_allclose(whole[n : n + 1], compute("convolution", x[n : n + 1], weight), rtol=1e-12)
    gy = rng.standard_normal(whole.shape)
    gx, gw = gradients("convolution", x, weight, gy=gy)
    singles = [gradients("convolution", x[n : n + 1], weight, gy=gy[n : n + 1]) for n in range(9)]
    np.testing.assert_allclose(gx, np.concatenate([g for g, _ in singles]), rtol=1e-12)
    np.testing.assert_allclose(gw, sum(g for _, g in singles), rtol=1e-10, atol=1e-10)


def test_convolution_refuses_in_sentences() -> None:
    x = typed(N, 3, 8, 8)
    for weight, statics, words in (
        (typed(4, 2, 3, 3), {}, "is for 2 channels, but x, which is f32\\[N, 3, 8, 8\\], has 3"),
        (typed(4, 3, 9, 9), {}, "larger than the padded x"),
        (typed(4, 3, 3, 3), {"groups": 2}, "`groups=2` must divide the 3 channels"),
        (typed(4, 3, 3, 3), {"stride": 0}, "must be at least 1"),
        (typed(4, 3, 3), {}, "with 4 axes"),
        (typed(4, 3, 3, 3), {"padding": (1, 1, 1)}, "one or two numbers, not 3"),
        (typed(4, 3, 3, 3, dtype=DType.F64), {}, "one dtype"),
    ):
        with pytest.raises(TypeRuleError, match=words):
            make("convolution", x, weight, **statics)


def test_max_pool2d_passes_nan_on_and_gives_its_gradient_to_one_element() -> None:
    x = np.array([[[[1.0, np.nan], [0.0, 2.0]]]])
    assert np.isnan(compute("max_pool2d", x, kernel_size=2)).all()
    (gx,) = gradients("max_pool2d", x, kernel_size=2)
    assert gx is not None
    assert gx.sum() == 1


def test_an_infinite_cotangent_of_max_pool2d_does_not_spread() -> None:
    x = np.arange(8.0).reshape(1, 1, 2, 4)
    (gx,) = gradients("max_pool2d", x, kernel_size=2, gy=np.array([[[[np.inf, 1.0]]]]))
    assert gx is not None
    assert gx.ravel().tolist() == [0, 0, 0, 0, 0, np.inf, 0, 1]


def test_pools_refuse_windows_that_may_see_only_padding() -> None:
    with pytest.raises(TypeRuleError, match="at most half the window"):
        make("max_pool2d", typed(N, 3, 8, 8), kernel_size=2, padding=2)
    with pytest.raises(TypeRuleError, match="larger than the padded x"):
        make("max_pool2d", typed(N, 3, 8, 8), kernel_size=9)
    with pytest.raises(TypeRuleError, match="with 4 axes"):
        make("avg_pool2d", typed(3, 8, 8), kernel_size=2)
    assert str(make("max_pool2d", typed(N, 3, H, 8), kernel_size=2).type) == "f32[N, 3, H // 2, 4]"
    assert str(make("avg_pool2d", typed(N, 3, H, 8), kernel_size=3, stride=2, padding=1).type) == (
        "f32[N, 3, (H + 1) // 2, 4]"
    )
