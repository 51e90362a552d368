"""What can be wrong with data: files, arrays given for inputs and parameters, what happens at run time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from graphspec.diagnostics.catalogue._register import diagnostic, finding
from graphspec.diagnostics.model import Diagnostic, Label
from graphspec.diagnostics.source import Span

Trace = tuple[tuple[str, Span], ...]


def _listed(names: Iterable[str], limit: int = 12) -> str:
    quoted = [f"`{name}`" for name in names]
    if len(quoted) > limit:
        quoted = [*quoted[:limit], f"{len(quoted) - limit} more"]
    return ", ".join(quoted)


def _closest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return (f"did you mean `{close[0]}`?",) if close else ()


def _label(span: Span | None, text: str = "") -> Label | None:
    return Label(span, text) if span else None


def format_bytes(count: int) -> str:
    """`1.5 MB`: a number of bytes as people write it."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if amount < 999.5:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} EB"


# --- while a program runs ---------------------------------------------------------------------------


@diagnostic()
def index_out_of_range(
    name: str, index: int, size: int, axis: int, span: Span | None, trace: Trace = ()
) -> Diagnostic:
    """An index that is computed or comes with the data is negative, or not below the size of its axis.

    Indices start at 0, and there are no negative ones at run time: `x[..., -1]` is resolved when the
    spec is read, `x[i]` with an input `i` is not.  A label of 10 with ten classes is the usual cause.
    """
    valid = f"the indices of that axis are 0 to {size - 1}" if size else "that axis is empty"
    return finding(
        f"`{name}` takes element {index} of axis {axis}, which has size {size}",
        primary=_label(span, f"index {index} here"),
        notes=(valid,),
        trace=trace,
    )


@diagnostic()
def out_of_memory(bytes_needed: int, device: str) -> Diagnostic:
    """The machine (or the GPU) does not have the memory that the request needs at once.

    Ask for fewer gradients, take a smaller batch (`--take 0:100`, `--set N=32`), or compute in `f32`.
    `graphspec show SPEC --stage plan` shows what the memory is for.
    """
    return finding(
        f"{format_bytes(bytes_needed)} could not be allocated {device}",
        help=("a smaller batch needs less: `--set N=...` or `--take`",),
    )


@diagnostic()
def memory_limit(bytes_needed: int, limit: int, *, by_user: bool = True) -> Diagnostic:
    """The request would need more memory than it may take; nothing was allocated.

    What counts are its inputs and parameters, what it works in, and its results.  The limit is that of
    `--max-memory`, else four fifths of what the machine has left.
    """
    whose = "the limit is" if by_user else "of what the machine has left it may take"
    return finding(
        f"the request needs {format_bytes(bytes_needed)}, and {whose} {format_bytes(limit)}",
        help=(
            "take a smaller batch: `--set N=...` or `--take`",
            f"{'raise the limit' if by_user else 'or set a limit yourself'}: `--max-memory 64GB`",
        ),
    )


@diagnostic()
def backend_unavailable(name: str, reason: str, remedy: str) -> Diagnostic:
    """The backend that was asked for cannot run here: it is not installed, or there is no device.

    numpy is always there.  cupy needs an NVIDIA GPU with its driver, and one of the extras `cuda12`
    and `cuda13`: `pip install "graphspec[cuda13]"`.  A command ends with exit status 3.
    """
    return finding(f"the backend `{name}` is not available: {reason}", help=(remedy,) if remedy else ())


@diagnostic()
def unknown_backend(name: str, known: Sequence[str]) -> Diagnostic:
    """A backend was asked for that graphspec does not have."""
    return finding(
        f"there is no backend `{name}`", help=_closest(name, known) or (f"there are {_listed(known)}",)
    )


@diagnostic()
def size_impossible(type: str, shape: Sequence[int], dims: str, span: Span | None) -> Diagnostic:
    """A size that the spec computes is negative for these dims: an image smaller than its window, say."""
    return finding(
        f"{type} is [{', '.join(map(str, shape))}] where {dims}: no size is negative",
        primary=_label(span, type),
    )


@diagnostic()
def too_many_axes(rank: int, limit: int, span: Span | None) -> Diagnostic:
    """An array has more axes than numpy can give it, which is 64."""
    return finding(f"an array has {rank} axes, and at most {limit} are possible", primary=_label(span))


@diagnostic()
def number_undefined(what: str, reason: str, dims: str, span: Span | None) -> Diagnostic:
    """A number that the spec computes from dims does not exist: it divides by zero, say."""
    where = f" where {dims}" if dims else ""
    return finding(f"`{what}` has no value{where}: {reason}", primary=_label(span))


@diagnostic()
def sampler_domain(name: str, sampler: str, reason: str, span: Span | None = None) -> Diagnostic:
    """The arguments of a sampler define no distribution, such as `uniform(1, 0)` or `normal(std=-1)`."""
    return finding(f"`{name}` cannot be drawn by `{sampler}`: {reason}", primary=_label(span))


# --- files ------------------------------------------------------------------------------------------


@diagnostic()
def data_file_missing(path: str, similar: Sequence[str] = ()) -> Diagnostic:
    """A data file does not exist.  Paths on the command line are relative to the working directory,
    paths in a spec to the spec's own folder.
    """
    return finding(
        f"there is no file `{path}`", help=tuple(f"did you mean `{name}`?" for name in similar[:1])
    )


@diagnostic()
def data_file_unreadable(path: str, reason: str) -> Diagnostic:
    """A data file cannot be read: it is a directory, not of a known format, cut short, or damaged.

    Data are `.npy` files (one array) and `.npz` archives (arrays by name), as `numpy.save` and
    `numpy.savez` write them.
    """
    return finding(f"`{path}` cannot be read: {reason}")


@diagnostic()
def data_of_objects(path: str, array: str | None) -> Diagnostic:
    """An array in a data file holds Python objects, which are stored as pickles.

    Reading a pickle can run any code, so graphspec never does.  Save numbers instead:
    `np.save(path, np.stack(rows))` or `array.astype("float32")`.
    """
    what = f"the array `{array}` in `{path}`" if array else f"the array in `{path}`"
    return finding(
        f"{what} holds Python objects, not numbers",
        notes=("it is stored as a pickle, and reading one can run any code",),
        help=('save it as numbers: `array.astype("float32")`',),
    )


@diagnostic()
def data_pickled(path: str) -> Diagnostic:
    """A file is a pickle, as `torch.save` writes it (`.pt`, `.pth`, `.bin`): reading one can run any code.

    graphspec never reads one.  Save the tensors as `.safetensors` instead, which only holds numbers.
    """
    call = 'safetensors.torch.save_file(model.state_dict(), "weights.safetensors")'
    return finding(
        f"`{path}` is a pickle, which can run any code when it is read",
        help=(f"save it again where it comes from: `{call}`",),
    )


@diagnostic()
def array_format_unknown(path: str, suffix: str) -> Diagnostic:
    """Arrays are to be written to a file whose name ends in neither `.npz` nor `.safetensors`."""
    return finding(
        f"`{path}`: arrays are not written as `{suffix}`", help=("name it `.npz` or `.safetensors`",)
    )


@diagnostic()
def array_unwritable(name: str, dtype: str) -> Diagnostic:
    """An array that is to be written holds something else than real numbers and booleans."""
    return finding(f"`{name}` cannot be written: its elements are {dtype}, not numbers")


@diagnostic()
def data_key_missing(path: str, key: str, known: Sequence[str]) -> Diagnostic:
    """An archive has no array of the name that was asked for."""
    has = f"it has {_listed(known)}" if known else "it is empty"
    return finding(f"`{path}` has no array `{key}`", notes=(has,), help=_closest(key, known))


@diagnostic()
def data_key_needed(path: str, known: Sequence[str]) -> Diagnostic:
    """An archive has several arrays (or none), and the request does not say which of them it means."""
    if not known:
        return finding(f"`{path}` has no arrays")
    return finding(
        f"`{path}` has {len(known)} arrays, and one is wanted",
        notes=(f"it has {_listed(known)}",),
        help=(f'name it: `file("{path}", "{known[0]}")`',),
    )


@diagnostic()
def data_not_an_archive(path: str, key: str | None) -> Diagnostic:
    """Arrays are wanted by name, but the file is a `.npy`, which holds one array without a name."""
    what = f"no array is called `{key}` in it" if key else "arrays by name are wanted"
    return finding(
        f"`{path}` holds one array without a name, and {what}", help=("save an archive with `numpy.savez`",)
    )


@diagnostic()
def data_file_unwritable(path: str, reason: str) -> Diagnostic:
    """The results cannot be written: the folder is missing, or may not be written to, or the disk is full."""
    return finding(f"`{path}` cannot be written: {reason}")


# --- parameters from files ---------------------------------------------------------------------------


@diagnostic()
def parameters_do_not_fit(
    path: str,
    missing: Mapping[str, str],
    wrong: Sequence[str],
    unused: Sequence[str],
    extra: Sequence[str],
    help: Sequence[str],
) -> Diagnostic:
    """A file of parameters lacks some that the spec declares, or has them in other shapes or dtypes.

    All of them are listed.  Names and layouts are PyTorch's.  Where the file's differ, `--params-prefix`
    takes a leading part off its names, `--rename OLD=NEW` replaces a name (or the leading part up to a
    dot), and `--transpose PATTERN` swaps the last two axes of what it matches, by the spec's names.
    """
    counts = [
        f"{len(missing)} missing" * bool(missing),
        f"{len(wrong)} of another shape or kind" * bool(wrong),
        f"{len(unused)} not there to be renamed" * bool(unused),
    ]
    notes = [f"missing: {_typed(missing)}"] if missing else []
    notes += [*wrong[:20], *([f"and {len(wrong) - 20} more"] if len(wrong) > 20 else [])]
    notes += [f"no name in the file is, or begins with, {_listed(unused)}"] if unused else []
    notes += [f"not used: {_listed(extra)}"] if extra else []
    return finding(
        f"`{path}` does not hold the parameters of the spec: {', '.join(c for c in counts if c)}",
        notes=tuple(notes),
        help=tuple(help),
    )


def _typed(types: Mapping[str, str], limit: int = 20) -> str:
    shown = [f"`{name}` {type}" for name, type in list(types.items())[:limit]]
    return ", ".join([*shown, f"{len(types) - limit} more"] if len(types) > limit else shown)


@diagnostic("note")
def extra_parameters(path: str, names: Sequence[str]) -> Diagnostic:
    """A file of parameters has tensors that the spec does not declare; they are not used."""
    return finding(f"`{path}` also has {_listed(names)}, which the spec does not declare")


# --- arrays given for inputs, parameters, buffers and noise -----------------------------------------


@diagnostic()
def argument_missing(name: str, type: str, span: Span | None, given: Sequence[str]) -> Diagnostic:
    """A value that the request needs was not given.

    Only what the request depends on must be given.  On the command line `--draw NAME` draws an input by
    its sampler; in Python, `model.draw(seed=0)` and `model.init(seed=0)` do.
    """
    drawn = "`--draw NAME` (in Python `model.draw()`) draws an input, `model.init()` parameters"
    weight = "it is given as `cotangent=`"
    return finding(
        f"`{name}` is needed, {type}, and was not given",
        primary=_label(span, "declared here"),
        notes=(f"given were {_listed(given)}",) if given else (),
        help=(weight if name.startswith("cotangent of ") else drawn,),
    )


@diagnostic()
def argument_unknown(name: str, known: Sequence[str]) -> Diagnostic:
    """An array was given for a name that the spec does not declare."""
    return finding(
        f"the spec declares nothing called `{name}`",
        notes=(f"it declares {_listed(known)}",) if known else (),
        help=_closest(name, known),
    )


@diagnostic()
def argument_not_an_array(name: str, type: str, reason: str, span: Span | None = None) -> Diagnostic:
    """What was given for a value is not an array of numbers.

    Arrays of numpy and cupy are taken, and whatever offers `__array__` or DLPack, and plain numbers.
    Arrays of objects, of text or of dates, complex numbers and arrays with masked elements are not.
    """
    return finding(f"`{name}` is {type}, but {reason}", primary=_label(span, type))


@diagnostic()
def argument_dtype(name: str, type: str, found: str, cast: str, span: Span | None) -> Diagnostic:
    """The elements of an array are of another kind than the spec declares: integers for floats, say.

    Within a kind arrays are cast; across kinds the cast must be written, because it is a mistake more
    often than not (labels given for images).
    """
    return finding(
        f"`{name}` is {type}, but the array has elements of {found}",
        primary=_label(span, type),
        help=(f"if it is meant, cast it: `{cast}`",),
    )


@diagnostic()
def argument_shape(
    name: str, type: str, found: Sequence[int], reason: str, span: Span | None, sizes: str = ""
) -> Diagnostic:
    """The shape of an array is not the one that the spec declares: another rank, or another size.

    What the dims of the declaration are by other arguments is said in a note.
    """
    return finding(
        f"`{name}` is {type}, but the array has shape [{', '.join(map(str, found))}]: {reason}",
        primary=_label(span, type),
        notes=(sizes,) if sizes else (),
    )


@diagnostic()
def dim_contradiction(
    dim: str, name: str, axis: int, found: int, first: str, number: int, span: Span | None, other: Span | None
) -> Diagnostic:
    """Two arrays, or an array and a number set from outside, disagree about what a dim is.

    A default (`dim N = 100`) gives way to the data; a number set by `--set N=64` (or `dims=` in
    Python) does not.
    """
    return finding(
        f"`{dim}` is {number} by {first}, but {found} by axis {axis} of `{name}`",
        primary=_label(span, f"{dim} = {found}"),
        secondary=(Label(other, f"{dim} = {number}"),) if other else (),
    )


@diagnostic()
def size_without_solution(
    name: str, axis: int, size: str, dim: str, found: int, span: Span | None
) -> Diagnostic:
    """No dim makes the size that the spec declares equal to the array's: `2*N` is never 7.

    Dims are whole numbers from 1.
    """
    return finding(
        f"axis {axis} of `{name}` is {size} and has size {found}: no whole `{dim}` from 1 gives that",
        primary=_label(span, f"{size} = {found}"),
    )


@diagnostic()
def size_undetermined(name: str, axis: int, size: str, dims: Sequence[str], span: Span | None) -> Diagnostic:
    """The arrays do not tell what a dim is: it stands only in arithmetic without a single solution."""
    return finding(
        f"axis {axis} of `{name}` is declared as {size}, which does not determine {_listed(dims)}",
        primary=_label(span, size),
        help=(f'say what it is: `--set {dims[0]}=NUMBER` (in Python `dims={{"{dims[0]}": NUMBER}}`)',),
    )


@diagnostic("warning")
def precision_narrowed(casts: Sequence[tuple[str, str, str]]) -> Diagnostic:
    """Arrays were rounded to the smaller dtype that the spec declares, such as `f64` data for an `f32` input.

    Declare the input in the data's dtype, compile in double (`--dtype f64`), or cast the data to say
    that it is meant.
    """
    shown = [f"`{name}` from {found} to {wanted}" for name, found, wanted in casts[:6]]
    if len(casts) > 6:
        shown.append(f"{len(casts) - 6} more")
    return finding(f"precision is lost: {', '.join(shown)}")


@diagnostic()
def integers_do_not_fit(name: str, type: str, number: int, span: Span | None) -> Diagnostic:
    """An array of wide integers holds numbers that the narrower dtype of the spec does not have."""
    return finding(f"`{name}` is {type}, but the array has the number {number}", primary=_label(span, type))
