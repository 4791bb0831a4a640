"""The command line: ``teachkit doctor | probe | tour | check | check-kernels | notebooks``.

Each command imports what it needs when it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from teachkit.errors import SubmissionFileError, TeachkitError

app = typer.Typer(
    name="teachkit",
    help="Why GPU programs are fast or slow: run, count and explain kernels on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def doctor() -> None:
    """Say what this machine is, use every back end once, and say what to do about one that fails."""
    from teachkit import doctor as room

    raise typer.Exit(room.main())


@app.command()
def probe(
    again: Annotated[bool, typer.Option("--again", help="Measure even if there are recorded readings.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    gpu: Annotated[str, typer.Option(help="Run the GPU's latency probe on the emulator, modelled for this GPU.")] = "",
) -> None:
    """Measure this machine: caches, memory, arithmetic, dispatch; later show what was recorded."""
    import json

    from teachkit.hardware.probes import probe as take
    from teachkit.model.pointer_chase import emulated_probe

    try:
        found = emulated_probe(gpu) if gpu else take(again=again)
    except KeyboardInterrupt:
        typer.echo("Stopped; nothing was kept.", err=True)
        raise typer.Exit(130) from None
    typer.echo(json.dumps(found.to_dict()) if as_json else repr(found))


@app.command()
def tour() -> None:
    """Run kernels of the lessons here in the terminal and print what they did."""
    from teachkit import tour as room

    room.main()


@app.command()
def check(
    slug: Annotated[str, typer.Argument(help="The exercise, for example fused_gelu.")],
    file: Annotated[Path, typer.Argument(help="A Python file that defines a function of that name.")],
) -> None:
    """Check an answer to an exercise and print its points and what is wrong."""
    from teachkit.grading.checker import check as check_answer

    report = check_answer(slug, load_function(file, slug))
    typer.echo(str(report))
    raise typer.Exit(0 if report.passed else 1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def check_kernels(
    context: typer.Context,
    program: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A Python program; what follows are its own arguments.")
    ],
) -> None:
    """Run a program and look for races, bad accesses, unwritten memory and missing barriers in its kernels."""
    import contextlib
    import runpy

    import torch  # noqa: F401  # before the check begins, so that it sees what torch.empty makes

    from teachkit.emulator import check as check_launches

    sys.argv = [str(program), *context.args]
    sys.path.insert(0, str(program.resolve().parent))
    with check_launches(raises=False) as report, contextlib.suppress(SystemExit):
        runpy.run_path(str(program), run_name="__main__")
    typer.echo(str(report))
    raise typer.Exit(0 if report.is_clean else 1)


@app.command()
def notebooks(
    slugs: Annotated[list[str] | None, typer.Argument(help="Chapters such as 40_fusion_by_hand; all if none.")] = None,
    check_only: Annotated[bool, typer.Option("--check", help="Compare and write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Execute lectures even if nothing changed.")] = False,
) -> None:
    """Build the notebooks of the given chapters from their sources."""
    from teachkit.authoring import build

    build(slugs or None, check_only, force=force)


def load_function(file: Path, name: str) -> object:
    """Run a Python file as a module of its own and return what it binds to ``name``.

    Raises
    ------
    SubmissionFileError
        If there is no such file, it does not run, or it does not bind that name.
    """
    import importlib.util
    import traceback

    spec = importlib.util.spec_from_file_location(f"submission_{file.stem}", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise SubmissionFileError(file, "there is no such Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Triton looks a kernel's module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a learner's file raises is a fact about the file
        raise SubmissionFileError(file, f"it does not run:\n{traceback.format_exc(limit=-1).rstrip()}") from error
    if not hasattr(module, name):
        raise SubmissionFileError(file, f"it does not define {name}")
    return getattr(module, name)


def main() -> None:
    """Run the command line; a foreseen error is one message and exit status 1, never a traceback."""
    try:
        app()
    except TeachkitError as error:
        typer.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
