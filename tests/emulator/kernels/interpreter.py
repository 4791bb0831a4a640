"""Runs kernels in Triton's own interpreter, in a process of its own: the choice is made when Triton is imported.

``TRITON_INTERPRET=1 python interpreter.py`` reads lines ``SOURCE TENSORS`` (two files), calls ``kernel`` of the source
on the tensors, saves them, and answers ``ok``, or the error in one line.
"""

import importlib.util
import sys
import warnings

import torch
import triton


def main():
    warnings.simplefilter("ignore")  # NumPy's, of overflows and divisions by zero that kernels are free to do
    for number, line in enumerate(sys.stdin):
        source, data = line.split()
        try:
            spec = importlib.util.spec_from_file_location(f"interpreted{number}", source)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            tensors = torch.load(data)
            triton.jit(module.kernel)[(1,)](*tensors)
            torch.save(tensors, data)
            print("ok", flush=True)
        except Exception as error:
            print(repr(error).replace("\n", " "), flush=True)


if __name__ == "__main__":
    main()
