"""The suite of planted bugs takes each variant for what its name says, and tells what was missed."""

import pytest

from benchmarks.coverage.frame import Failure
from benchmarks.coverage.suites import indigo

GENERATOR = '''
import pathlib, sys
HEAD = """#include "indigo_cuda.h"
__global__ void test_kernel(int* nindex, int* nlist, int* data1, int* data2, int numv) {
    int i = threadIdx.x + blockIdx.x * blockDim.x;
    if (i < numv) """
TAIL = """;
}
void serial_code() {}
"""
VARIANTS = {
    "add": "atomicAdd(data1, nindex[i + 1] - nindex[i])",
    "add_atomicBug": "data1[0] += nindex[i + 1] - nindex[i]",
    "add_boundsBug": "atomicAdd(data1, nlist[nindex[i]])",
    "add_raceBug": "atomicAdd(data1, 1)",
    "add_persistent": "data1[0] = i",
}
assert pathlib.Path("configure.txt").exists()
for name, body in VARIANTS.items():
    (pathlib.Path(sys.argv[3]) / f"{name}.cu").write_text(HEAD + body + TAIL)
'''


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    generators = tmp_path / "Generators"
    (generators / "CUDA_sources").mkdir(parents=True)
    (generators / "CUDA_sources" / "add.idg").touch()
    (generators / "generate_CUDA_codes.py").write_text(GENERATOR)
    monkeypatch.setenv(indigo.SOURCE, str(tmp_path))
    yield tmp_path
    indigo._variants.cache_clear()


def test_variants_are_taken_for_what_their_names_say(checkout):
    assert not indigo.absent()
    assert indigo.names() == ["add", "add_atomicBug", "add_boundsBug", "add_persistent", "add_raceBug"]
    for name in ("add", "add_atomicBug", "add_boundsBug"):
        indigo.run(name)
    with pytest.raises(Failure, match="missed: race"):
        indigo.run("add_raceBug")
    with pytest.raises(Failure, match="reported and not there: race"):
        indigo.run("add_persistent")


def test_without_a_checkout_the_suite_says_so(monkeypatch):
    monkeypatch.delenv(indigo.SOURCE, raising=False)
    assert "does not name a checkout" in indigo.absent()
    monkeypatch.setenv(indigo.SOURCE, "/nowhere")
    assert "without Generators/generate_CUDA_codes.py" in indigo.absent()
