"""Data files: what is written is read again, and what is broken or hostile ends in a diagnostic."""

import contextlib
import io
import os
import pickle
import random
import struct
import zipfile

import numpy as np
import pytest

from graphspec.diagnostics import GraphSpecError
from graphspec.runtime.data import read_archive, read_array, write_archive

ARRAYS = {
    "x": np.arange(6, dtype="f4").reshape(2, 3),
    "label": np.array([1, 2, 3]),
    "fc1.weight": np.asfortranarray(np.arange(6.0).reshape(3, 2)),
    "flag": np.array(True),
    "none": np.zeros((0, 3), dtype="f2"),
    "foreign": np.arange(3, dtype=">f8"),
    "file": np.array([1.0]),
}


def failure(function, *arguments):
    with pytest.raises(GraphSpecError) as caught:
        function(*arguments)
    (found,) = caught.value.diagnostics
    assert caught.value.exit_code == 1
    return found


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def header(shape, descr="<f4"):
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "data.npz"
    write_archive(path, ARRAYS)
    return path


def test_what_is_written_is_read_again_by_us_and_by_numpy(archive):
    for found in (read_archive(archive), dict(np.load(archive, allow_pickle=False))):
        assert list(found) == list(ARRAYS)
        for name, array in ARRAYS.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)
    np.testing.assert_array_equal(read_array(archive, "fc1.weight"), ARRAYS["fc1.weight"])
    assert list(read_archive(archive, ["x", "flag"])) == ["x", "flag"]


def test_what_numpy_writes_is_read(tmp_path):
    np.save(tmp_path / "one.npy", ARRAYS["x"])
    np.savez_compressed(tmp_path / "many.npz", **{k: v for k, v in ARRAYS.items() if k != "file"})
    np.testing.assert_array_equal(read_array(tmp_path / "one.npy"), ARRAYS["x"])
    np.testing.assert_array_equal(read_archive(tmp_path / "many.npz")["label"], [1, 2, 3])
    np.savez(tmp_path / "single.npz", ARRAYS["x"])
    np.testing.assert_array_equal(read_array(tmp_path / "single.npz"), ARRAYS["x"])


def test_the_same_arrays_give_the_same_bytes(tmp_path, archive):
    write_archive(tmp_path / "again.npz", ARRAYS)
    assert (tmp_path / "again.npz").read_bytes() == archive.read_bytes()


def test_a_file_is_written_whole_or_not_at_all(archive):
    before = archive.read_bytes()
    with pytest.raises(ValueError, match="allow_pickle"):
        write_archive(archive, {"bad": np.array([object()])})
    assert archive.read_bytes() == before
    assert [p.name for p in archive.parent.iterdir()] == ["data.npz"]


def test_a_link_is_written_through_and_a_device_is_not_replaced(tmp_path, archive):
    link = tmp_path / "link.npz"
    link.symlink_to(archive)
    write_archive(link, {"a": np.ones(2)})
    assert link.is_symlink()
    assert list(read_archive(archive)) == ["a"]
    write_archive("/dev/null", {"a": np.ones(2)})
    assert not os.path.isfile("/dev/null")


def test_a_folder_that_is_missing_cannot_be_written_to(tmp_path):
    found = failure(write_archive, tmp_path / "no" / "out.npz", ARRAYS)
    assert (found.id, "No such file or directory" in found.message) == ("data-file-unwritable", True)


def test_a_missing_file_suggests_one_with_a_similar_name(archive):
    found = failure(read_array, archive.with_name("date.npz"), "x")
    assert found.id == "data-file-missing"
    assert found.help == (f"did you mean `{archive}`?",)
    assert failure(read_array, "/nowhere/at/all.npz").help == ()


def test_a_missing_array_suggests_one_with_a_similar_name(archive):
    found = failure(read_array, archive, "lable")
    assert found.id == "data-key-missing"
    assert found.notes == ("it has `x`, `label`, `fc1.weight`, `flag`, `none`, `foreign`, `file`",)
    assert found.help == ("did you mean `label`?",)
    assert failure(read_archive, archive, ["x", "lable"]).id == "data-key-missing"


def test_an_archive_of_several_arrays_needs_a_name(tmp_path, archive):
    found = failure(read_array, archive)
    assert found.id == "data-key-needed"
    assert found.help == (f'name it: `file("{archive}", "x")`',)
    write_archive(tmp_path / "empty.npz", {})
    assert failure(read_array, tmp_path / "empty.npz").message.endswith("has no arrays")


def test_an_array_without_a_name_is_not_found_by_one(tmp_path):
    np.save(tmp_path / "one.npy", ARRAYS["x"])
    assert failure(read_array, tmp_path / "one.npy", "x").id == "data-not-an-archive"
    assert failure(read_archive, tmp_path / "one.npy").id == "data-not-an-archive"


class Bomb:
    """An object whose pickle would create a file when read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_objects_are_refused_and_never_unpickled(tmp_path):
    trace = tmp_path / "trace"
    bombs = np.array([Bomb(str(trace))], dtype=object)
    (tmp_path / "one.npy").write_bytes(npy(bombs, allow_pickle=True))
    np.savez(tmp_path / "many.npz", x=bombs)
    (tmp_path / "raw.npy").write_bytes(pickle.dumps(bombs))
    assert failure(read_array, tmp_path / "one.npy").id == "data-of-objects"
    assert failure(read_array, tmp_path / "many.npz", "x").id == "data-of-objects"
    assert failure(read_array, tmp_path / "raw.npy").id == "data-pickled"
    assert not trace.exists()


ONE = npy(ARRAYS["x"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"1,2,3\n", "none of .npy, .npz and .safetensors"),
        (ONE[:20], "damaged"),
        (ONE[:-1], "cut short: 24 bytes are declared, and 23 are there"),
        (ONE + b"x", "longer than it says: 24 bytes are declared, and 25 are there"),
        (ONE + ONE, "longer than it says"),
        (header((2**40, 2**40)), "cut short"),
        (header((2**62, 2**62, 2**62)), "cut short"),
        (header((-1, 5)), "a negative size"),
        (header((0, -5)), "a negative size"),
        (header("5"), "damaged"),
        (header("__import__('os').abort()"), "damaged"),
        (header("(" * 500), "damaged"),
        (header((2,), "<U5"), "its elements are <U5, not numbers"),
        (header((2,), [("a", "<f4")]), "not numbers"),
        (header((2**50,), "|S0"), "not numbers"),
        (header((2,), "nonsense"), "damaged"),
        (b"\x93NUMPY\x09\x00" + ONE[8:], "damaged"),
        (b"PK\x03\x04 no archive", "damaged"),
    ],
)
def test_broken_and_lying_files_are_a_diagnostic(tmp_path, content, message):
    (tmp_path / "bad.npy").write_bytes(content)
    found = failure(read_array, tmp_path / "bad.npy")
    assert found.id == "data-file-unreadable"
    assert message in found.message


def test_a_directory_is_no_data_file(tmp_path):
    assert "Is a directory" in failure(read_array, tmp_path).message


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_that_lies_about_its_size_is_a_diagnostic(tmp_path, compression):
    path = tmp_path / "bad.npz"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x.npy", header((2**40,)) + b"1234")
    assert "cut short" in failure(read_array, path, "x").message


def test_random_damage_is_a_diagnostic_or_harmless(tmp_path, archive):
    np.savez_compressed(tmp_path / "compressed.npz", a=np.zeros(1000), b=np.arange(50))
    choose = random.Random(0)
    for source in (archive, tmp_path / "compressed.npz"):
        whole = source.read_bytes()
        for _ in range(150):
            damaged = bytearray(whole)
            for _ in range(choose.randint(1, 6)):
                damaged[choose.randrange(len(damaged))] = choose.randrange(256)
            if choose.random() < 0.2:
                del damaged[choose.randrange(len(damaged)) :]
            (tmp_path / "damaged.npz").write_bytes(damaged)
            with contextlib.suppress(GraphSpecError):
                read_archive(tmp_path / "damaged.npz")
