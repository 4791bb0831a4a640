"""PTX modules joined into one, and what the emulator then runs."""

import numpy as np
import pytest

from teachkit.emulator import load_ptx
from teachkit.emulator.ptx import parse
from teachkit.errors import PtxLinkError
from teachkit.frontends.ptx_link import link

HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n"

# Both modules have a private helper and a private table of the same name.
MAIN = (
    HEAD
    + """
.extern .func (.param .b32 answer) triple (.param .b32 x);
.extern .global .align 4 .u32 bias;
.global .align 4 .u32 table[2] = {10, 20};
.func (.param .b32 answer) helper (.param .b32 x)
{ .reg .b32 %r<3>; ld.param.u32 %r1, [x]; add.u32 %r2, %r1, 1; st.param.b32 [answer], %r2; ret; }
.visible .entry k(.param .u64 out)
{
    .reg .b32 %r<9>; .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [out];
    mov.u32 %r1, %tid.x;
    { .param .b32 a; .param .b32 b; st.param.b32 [a], %r1; call.uni (b), helper, (a); ld.param.b32 %r2, [b]; }
    { .param .b32 a; .param .b32 b; st.param.b32 [a], %r2; call.uni (b), triple, (a); ld.param.b32 %r3, [b]; }
    ld.global.u32 %r4, [table+4]; ld.global.u32 %r5, [bias];
    add.u32 %r3, %r3, %r4; add.u32 %r3, %r3, %r5;
    mul.wide.u32 %rd2, %r1, 4; add.u64 %rd3, %rd1, %rd2; st.global.u32 [%rd3], %r3;
    ret;
}"""
)
OTHER = (
    HEAD
    + """
.visible .global .align 4 .u32 bias = 1000;
.global .align 4 .u32 table[1] = {3};
.func (.param .b32 answer) helper (.param .b32 x, .param .b32 y)
{ .reg .b32 %r<4>; ld.param.u32 %r1, [x]; ld.param.u32 %r2, [y]; mul.lo.u32 %r3, %r1, %r2;
  st.param.b32 [answer], %r3; ret; }
.visible .func (.param .b32 answer) triple (.param .b32 x)
{
    .reg .b32 %r<5>;
    ld.param.u32 %r1, [x]; ld.global.u32 %r2, [table];
    { .param .b32 a; .param .b32 c; .param .b32 b; st.param.b32 [a], %r1; st.param.b32 [c], %r2;
      call.uni (b), helper, (a, c); ld.param.b32 %r3, [b]; }
    st.param.b32 [answer], %r3;
    ret;
}"""
)


@pytest.mark.parametrize("texts", [[MAIN, OTHER], [OTHER, MAIN]])
def test_two_modules(texts):
    out = np.zeros(32, np.uint32)
    load_ptx(link(texts))["k"][1, 32](out)
    np.testing.assert_array_equal(out, 3 * (np.arange(32) + 1) + 20 + 1000)


def test_one_module_stays_as_it_is():
    assert link([MAIN]) is MAIN


def test_what_is_joined_parses_to_what_it_says():
    module = parse(link([MAIN, OTHER]))
    assert {"k", "triple"} <= set(module.functions)
    assert sum(name.startswith("helper") for name in module.functions) == 2
    assert sum(name.startswith("table") for name in module.variables) == 2
    assert not module.functions["triple"].is_declaration
    assert not module.variables["bias"].is_extern


def test_a_name_defined_twice_or_never():
    twice = OTHER.replace("{3}", "{4}").replace("= 1000", "= 2000")
    with pytest.raises(PtxLinkError, match="one definition of 'bias', got two"):
        link([MAIN, OTHER, twice])
    with pytest.raises(PtxLinkError, match="definition of the function 'triple', found none"):
        link([MAIN, HEAD])


def test_a_weak_definition_gives_way():
    weak = OTHER.replace(".visible", ".weak").replace("= 1000", "= 5")
    out = np.zeros(32, np.uint32)
    load_ptx(link([MAIN, OTHER, weak]))["k"][1, 32](out)
    np.testing.assert_array_equal(out, 3 * (np.arange(32) + 1) + 20 + 1000)


def test_source_lines_of_every_part_survive():
    def lined(text, path, line):
        text = text.replace(HEAD, f'{HEAD}.file 1 "{path}"\n')
        return text.replace("    ld.param", f"    .loc 1 {line} 0\n    ld.param", 1)

    module = parse(link([lined(MAIN, "main.py", 7), lined(OTHER, "other.cu", 9)]))
    said = {
        name: {str(item.source) for item in function.body if getattr(item, "source", None)}
        for name, function in module.functions.items()
    }
    assert said["k"] == {"main.py:7"}
    assert said["triple"] == {"other.cu:9"}
