"""What NVRTC made is used again, by the next process too, for exactly as long as nothing that it read has changed."""

import os
import subprocess
import sys

import numpy as np
import pytest

import teachkit as tk
from teachkit.errors import CompileError
from teachkit.frontends import cuda_c, cuda_headers
from teachkit.frontends.cuda_sources import digest_of_sources

SOURCE = "__global__ void k(int* x) {{ x[threadIdx.x] = {value}; }}"
nvrtc = pytest.importorskip("cuda.bindings.nvrtc")


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """One entry for each run of the compiler; the cache is empty, and the working folder too."""
    done = []
    compile_program = nvrtc.nvrtcCompileProgram

    def spy(*arguments):
        done.append(arguments)
        return compile_program(*arguments)

    monkeypatch.setattr(nvrtc, "nvrtcCompileProgram", spy)
    monkeypatch.setenv("TEACHKIT_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return done


def result(source, **options):
    """The first number that kernel ``k`` writes."""
    x = np.zeros(32, np.int32)
    tk.compile_cuda_c(source, **options)["k"][1, 32](x)
    return int(x[0])


def files(tmp_path):
    return sorted(path for path in (tmp_path / "cache" / "cuda_c").rglob("*") if path.is_file())


def test_the_same_program_again(runs):
    for _ in range(3):
        assert result(SOURCE.format(value=7)) == 7
    assert len(runs) == 1
    assert result(SOURCE.format(value=8)) == 8
    assert len(runs) == 2


PROGRAM = """
import numpy as np
from cuda.bindings import nvrtc
import teachkit as tk

def forbidden(*arguments):
    raise AssertionError("the compiler ran")

nvrtc.nvrtcCompileProgram = forbidden
module = tk.compile_cuda_c({source!r}, options=["-DN=3"], instantiate=["t<int>"])
print(module.messages)
x = np.zeros(32, np.int32)
module["k"][1, 32](x)
module["t<int>"][1, 32](x)
module["inner"][1, 32](x)
assert (x == 3 + 30 + 300).all(), x
"""


def test_another_process_does_not_compile_and_says_the_same(runs):
    source = (
        "__global__ void k(int* x) { int unused; x[threadIdx.x] = N; }"
        "template <typename T> __global__ void t(T* x) { x[threadIdx.x] += 10 * N; }"
        "namespace a { __global__ void inner(int* x) { x[threadIdx.x] += 100 * N; } }"
    )
    module = tk.compile_cuda_c(source, options=["-DN=3"], instantiate=["t<int>"])
    assert "declared but never referenced" in module.messages
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(source=source)], env=os.environ, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == module.messages


def test_an_empty_log_leaves_bytes_of_other_people_alone(runs):
    """NVRTC writes its NUL into the buffer it is given; Python has one object for each single byte."""
    assert tk.compile_cuda_c(SOURCE.format(value=7)).messages == ""
    assert bytes([32]) == b"\x20"
    assert bytes([32])[0] == 32
    assert bytes([0])[0] == 0


def test_an_error_comes_out_the_same_each_time(runs):
    messages = []
    for _ in range(2):
        with pytest.raises(CompileError) as caught:
            tk.compile_cuda_c("__global__ void k(int* x) { x[0] = y; }")
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert '"y" is undefined' in messages[0]


@pytest.mark.parametrize("damage", [lambda octets: b"", lambda octets: octets[:-1], lambda octets: b"x" + octets])
def test_a_damaged_file_is_made_again(runs, tmp_path, damage):
    result(SOURCE.format(value=7))
    (file,) = files(tmp_path)
    good = file.read_bytes()
    file.write_bytes(damage(good))
    assert result(SOURCE.format(value=7)) == 7
    assert (len(runs), file.read_bytes()) == (2, good)


def test_a_folder_that_cannot_be_written(runs, monkeypatch):
    monkeypatch.setenv("TEACHKIT_CACHE_DIR", "/proc/teachkit")
    assert [result(SOURCE.format(value=7)) for _ in range(2)] == [7, 7]
    assert len(runs) == 2


def test_options_architecture_names_and_compiler_count(runs, monkeypatch):
    source = SOURCE.format(value="N") + "template <int M> __global__ void t(int* x) { x[0] = M; }"
    assert result(source, options=["-DN=3"]) == 3
    assert result(source, options=["-DN=4"]) == 4
    assert len(runs) == 2
    tk.compile_cuda_c(source, options=["-DN=4"], instantiate=["t<4>"])
    tk.compile_cuda_c(source, options=["-DN=4"], file_name="other.cu")
    assert len(runs) == 4
    monkeypatch.setenv("TEACHKIT_ARCH", "90")
    assert ".target sm_90" in tk.compile_cuda_c(source, options=["-DN=4"]).ptx
    monkeypatch.setattr(cuda_c, "_library", lambda nvrtc: "another version")
    tk.compile_cuda_c(source, options=["-DN=4"])
    assert len(runs) == 6


FORMS = {
    "beside the source": ('#include "value.h"\n', "here", ()),
    "a folder": ('#include "value.h"\n', "headers", ("-I{}/headers",)),
    "a folder in angle brackets": ("#include <value.h>\n", "headers", ("--include-path={}/headers",)),
    "two options": ("# /* */ include <value.h>\n", "headers", ("-I", "{}/headers")),
    "before the source": ("", "headers", ("-I{}/headers", "-include=value.h")),
    "through another": ('#include "outer.h"\n', "headers", ("-I{}/headers",)),
    "below": ('#include "sub/../outer.h"\n', "headers", ("-I{}/headers",)),
    "one that shadows the toolkit's": ("#include <cuda_fp16.h>\n", "headers", ("-I{}/headers",)),
    "a line in two": ("#include \\\n <value.h>\n", "headers", ("-I{}/headers",)),
}


@pytest.mark.parametrize(("include", "place", "options"), FORMS.values(), ids=FORMS)
def test_a_header_that_changes(runs, tmp_path, include, place, options):
    folder = tmp_path / place
    (folder / "sub").mkdir(parents=True)
    for outer in ("outer.h", "cuda_fp16.h"):
        (folder / outer).write_text('#include "value.h"\n')
    options = [option.format(tmp_path) for option in options]
    for n_runs, value in enumerate((5, 6), start=1):
        (folder / "value.h").write_text(f"#define VALUE {value}\n")
        for _ in range(2):
            assert result(include + SOURCE.format(value="VALUE"), options=options) == value
            assert len(runs) == n_runs
    if include:
        (folder / "sub" / "value.h").write_text("#define VALUE 9\n")  # which nothing names
        result(include + SOURCE.format(value="VALUE"), options=options)
        assert len(runs) == 2


def test_a_header_that_appears_in_front_of_another(runs, tmp_path):
    source = '#include <value.h>\n#if __has_include("more.h")\n#include "more.h"\n#endif\n' + SOURCE.format(
        value="VALUE"
    )
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    options = [f"-I{tmp_path}/first", f"-I{tmp_path}/second"]
    (tmp_path / "second" / "value.h").write_text("#define VALUE 5\n")
    assert result(source, options=options) == 5
    (tmp_path / "first" / "value.h").write_text("#define VALUE 6\n")
    assert result(source, options=options) == 6
    (tmp_path / "second" / "more.h").write_text("#undef VALUE\n#define VALUE 7\n")
    assert result(source, options=options) == 7


@pytest.mark.parametrize(
    "source",
    [
        "#define H <value.h>\n#include H\n" + SOURCE.format(value="VALUE"),
        SOURCE.format(value="VALUE + 0 * __TIME__[0]"),
    ],
)
def test_programs_that_depend_on_more_than_can_be_told_are_compiled_each_time(runs, tmp_path, source):
    (tmp_path / "here" / "value.h").write_text("#define VALUE 5\n")
    options = ["-include=value.h", f"-I{tmp_path}/here"]
    assert [result(source, options=options) for _ in range(2)] == [5, 5]
    assert len(runs) == 2


def test_headers_of_the_wheels_count_by_size_and_time(tmp_path):
    folders = [str(tmp_path / "include"), str(tmp_path / "include" / "cccl")]
    header = tmp_path / "include" / "cccl" / "cub" / "cub.cuh"
    header.parent.mkdir(parents=True)
    header.write_text("int a;")
    (header.parent / "nowhere.cuh").symlink_to("missing")

    def digest(source="#include <cub/cub.cuh>\n"):
        return digest_of_sources(source, "/", ["-I" + folder for folder in folders], {}, folders)

    first, other = digest(), digest("int b;\n")
    assert (first, other) == (digest(), digest("int b;\n"))
    header.write_text("int a, b;")
    assert digest() != first
    second = digest()
    os.utime(header, ns=(1, 1))
    assert digest() != second
    assert digest("int b;\n") == other  # it names no header


@pytest.mark.skipif(not cuda_headers.include_folders(), reason="no CUDA headers")
def test_a_program_with_headers_of_the_wheels(runs):
    source = "#include <cuda_fp16.h>\n#include <cstdint>\n" + SOURCE.format(
        value="(int32_t)__half2float(__float2half(7.f))"
    )
    assert [result(source) for _ in range(2)] == [7, 7]
    assert len(runs) == 1
