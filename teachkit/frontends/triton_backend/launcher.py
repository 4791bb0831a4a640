"""What stands behind ``kernel[grid](...)`` on the emulator: bound arguments in, one emulated launch out.

Modelled: the launch as the CUDA driver sees it (grid limits, hidden scratch pointers, dynamic shared memory).
Not modelled: streams (launches run one after the other), programmatic dependent launch.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from teachkit.emulator import load_ptx, tensor_map
from teachkit.emulator.arguments import float_bytes
from teachkit.emulator.launches import Resources
from teachkit.errors import LaunchError
from teachkit.frontends import resources, target, triton_adapter
from teachkit.frontends.triton_backend.address_tables import with_tables

_SCRATCH_NAMES = ("global_scratch", "profile_scratch")
_NO_SCRATCH = (None, None)

Hook = Callable[[Any], None]
Convert = Callable[[Any, list[Any]], None]


@dataclasses.dataclass
class Binary:
    """A kernel as the driver loaded it; ``ptx`` is ``None`` where only a cubin was handed over."""

    ptx: str | None
    architecture: int


class EmulatorLauncher:
    """Launches one compiled kernel; Triton makes one of these per compiled kernel and calls it for every launch.

    Parameters
    ----------
    src : triton.compiler.ASTSource
        What was compiled; its ``signature`` names the arguments.
    metadata : namedtuple
        What the compiler noted: ``name``, ``num_warps``, ``shared`` (bytes), the scratch sizes.
    """

    def __init__(self, src: Any, metadata: Any) -> None:
        self.metadata = metadata
        self.block = (32 * metadata.num_warps, 1, 1)
        self._n_ctas = getattr(metadata, "num_ctas", 1)  # blocks of a program, which are a cluster
        arguments = triton_adapter.runtime_arguments(src)
        maps = iter(getattr(metadata, "tensordesc_meta", None) or ())
        descriptors = {a.path: next(maps, None) for a in arguments if a.type_name.startswith("tensordesc")}
        self._plan = [(a.path[0], a.path[1:], _converter(a, descriptors.get(a.path))) for a in arguments]
        self._has_addresses = any(argument.type_name.removeprefix("*") in ("i64", "u64") for argument in arguments)
        self._names = [name for a in arguments for name in _parameter_names(a, descriptors.get(a.path))]
        self._all_names = [*self._names, *_SCRATCH_NAMES]
        self._allocate_scratch = triton_adapter.scratch_allocator(metadata)
        self._n_hidden = 0
        self._kernel: Any = None
        self._resources: functools.partial[Resources] | None = None

    def __call__(
        self,
        grid_x: int,
        grid_y: int,
        grid_z: int,
        stream: int,
        function: Binary,
        kernel_metadata: Any,
        launch_metadata: Any,
        enter_hook: Hook | None,
        exit_hook: Hook | None,
        *args: Any,
    ) -> None:
        """Run the kernel; the signature is Triton's."""
        if enter_hook is not None:
            enter_hook(launch_metadata)
        self.launch((grid_x, grid_y, grid_z), function, args, stream)
        if exit_hook is not None:
            exit_hook(launch_metadata)

    def launch(self, grid: tuple[int, int, int], binary: Binary, args: tuple[Any, ...], stream: int = 0) -> None:
        """Run ``grid`` programs of ``binary`` on the bound arguments ``args``, constexprs among them.

        Raises
        ------
        LaunchError
            If the grid or an argument is not one that a launch can have.
        """
        values: list[Any] = []
        for index, path, convert in self._plan:
            value = args[index]
            for step in path:
                value = value[step]
            convert(value, values)
        n_programs = grid[0] * grid[1] * grid[2]
        if n_programs == 0:  # a launch of nothing is an error in CUDA, and nothing at all in Triton
            return
        if self._kernel is None:
            self._load(binary)
        scratch = self._allocate_scratch(n_programs, stream) if self._allocate_scratch else _NO_SCRATCH
        values += scratch[: self._n_hidden]
        self._kernel.launch(
            (grid[0] * self._n_ctas, grid[1], grid[2]),
            self.block,
            with_tables(self._kernel, values, self._all_names) if self._has_addresses else values,
            shared_bytes=self.metadata.shared,
            argument_names=self._all_names,
            name=self.metadata.name,
            resources=self._resources,
            cluster=None if self._n_ctas == 1 else (self._n_ctas, 1, 1),
        )

    def _load(self, binary: Binary) -> None:
        ptx = binary.ptx or triton_adapter.cached_ptx(self.metadata)
        n_hidden = triton_adapter.n_ptx_parameters(ptx) - len(self._names)
        if not 0 <= n_hidden <= len(_SCRATCH_NAMES):
            raise LaunchError(
                f"{self.metadata.name}: expected PTX with up to {len(_SCRATCH_NAMES)} parameters besides the "
                f"{len(self._names)} arguments, got {n_hidden}",
                hint="this version of Triton passes arguments in a way that teachkit does not know yet",
            )
        self._n_hidden = n_hidden
        self._resources = functools.partial(
            resources.kernel_resources,
            ptx,
            self.metadata.name,
            n_threads=self.block[0],
            dynamic_shared_bytes=self.metadata.shared,
            gpu=target.modelled_gpu(binary.architecture),
        )
        module = load_ptx(ptx)
        module.has_replicated_scalars = True
        self._kernel = module[self.metadata.name]


def _converter(argument: triton_adapter.Argument, wanted: Mapping[str, Any] | None) -> Convert:
    kind = argument.type_name
    if kind.startswith("tensordesc"):
        return _append_descriptor if wanted is None else functools.partial(_append_map, argument.name, wanted)
    if kind == "nvTmaDesc":
        raise LaunchError(
            f"argument {argument.name!r}: expected a TensorDescriptor, got a descriptor made by hand",
            hint="make it with triton.tools.tensor_descriptor.TensorDescriptor",
        )
    return {"fp16": _append_half, "bf16": _append_bfloat16}.get(kind, _append)


def _append(value: Any, values: list[Any]) -> None:
    values.append(value)


def _append_half(value: Any, values: list[Any]) -> None:
    values.append(int.from_bytes(float_bytes("<e", value), "little"))


def _append_bfloat16(value: Any, values: list[Any]) -> None:
    # Triton's own launcher truncates; so do we, to hand the kernel the same bits.
    values.append(int.from_bytes(float_bytes("<f", value), "little") >> 16)


def _append_descriptor(value: Any, values: list[Any]) -> None:
    # Without TMA a descriptor travels as base, shape, strides and two flags, then shape and strides once more: the
    # kernel's own view of it, and what the language hands along.
    values += [value.base, *value.shape, *value.strides, value.padding == "nan", value.round_f32_to_tf32]
    values += [*value.shape, *value.strides]


def _append_map(name: str, wanted: Mapping[str, Any], value: Any, values: list[Any]) -> None:
    """A descriptor of which the compiler copies boxes: its tensor map, then its shape and strides."""
    if value.strides[-1] != 1:
        raise LaunchError(
            f"argument {name!r}: expected a descriptor whose last stride is 1, got strides {list(value.strides)}",
            hint="describe the tensor's transpose, or a contiguous copy",
        )
    kind = "tf32" if value.round_f32_to_tf32 else wanted["elem_type"]
    try:
        octets = tensor_map.encode(
            value.base.data_ptr(),
            tensor_map.TYPES.index(kind) if isinstance(kind, str) else kind,
            [int(n) for n in reversed(value.shape)],
            [int(n) * wanted["elem_size"] for n in reversed(value.strides[:-1])],
            list(reversed(wanted["block_size"])),
            swizzle=wanted["swizzle"],
            fill=int(value.padding == "nan"),
        )
    except tensor_map.TensorMapError as error:
        hint = "a tensor map on a GPU has the same limits" if error.is_emulated else "compile for sm_80"
        raise LaunchError(f"argument {name!r}: {error}", hint=hint) from None
    values += [tensor_map.TensorMap(octets, value.base), *value.shape, *value.strides]


def _parameter_names(argument: triton_adapter.Argument, wanted: Mapping[str, Any] | None) -> list[str]:
    if not argument.type_name.startswith("tensordesc"):
        return [argument.name]
    rank = triton_adapter.descriptor_rank(argument.type_name)
    shape_and_strides = [f"{argument.name}.{part}[{axis}]" for part in ("shape", "strides") for axis in range(rank)]
    if wanted is not None:
        return [argument.name, *shape_and_strides]
    flags = [f"{argument.name}.padding", f"{argument.name}.round_f32_to_tf32"]
    return [argument.name, *shape_and_strides, *flags, *shape_and_strides]
