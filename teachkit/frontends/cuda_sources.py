"""What a compilation of CUDA C++ reads, as a digest, so that its result may be kept for as long as that stays the same.

The program's own headers count by content. Those of NVIDIA's wheels are thousands, so that their sizes and times of
change count, as they do for ``make``. Conditions are not evaluated: a header that is named counts, whether or not it
is read in the end.
Not modelled: names of headers that macros make; a program with those has no digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# Comments may stand between the words of a directive, and %: is another spelling of #.
_BLANK = rb"(?:[ \t]|\\\r?\n|/\*.*?\*/)*"
_INCLUDE = re.compile(rb"(?:#|%:)" + _BLANK + rb"(?:include|include_next|import)\b" + _BLANK + rb"([^\n]*)", re.DOTALL)
_ASKED = re.compile(rb"\b__has_include(?:_next)?\b" + _BLANK + rb"([^\n]*)", re.DOTALL)
_NAME = re.compile(rb"\(?\s*[<\"]([^>\"\n]+)[>\"]")
_MOMENT = re.compile(rb"__(?:DATE|TIME|TIMESTAMP)__")
_FOLDER = re.compile(r"(?:--include-path|-I)(?:=|\s*)(.*)")
_FIRST = re.compile(r"(?:--pre-include|-include)(?:=|\s*)(.*)")
# Options that read or write other files.
_OTHER_FILES = re.compile(r"--?(?:(?:create-|use-)?pch.*|(?:fdevice-)?time.*|options-file.*|optf.*)")


def digest_of_sources(
    source: str, folder: str, options: Sequence[str], given: Mapping[str, str], wheels: Sequence[str]
) -> str | None:
    """A digest of what a compilation reads, None where that cannot be told.

    Parameters
    ----------
    source : str
        The program.
    folder : str
        Where it stands, or would: ``#include "name"`` looks there first.
    options : sequence of str
        The compiler's options, which may name folders and headers.
    given : mapping of str to str
        Texts of headers by name, which come before those in folders.
    wheels : sequence of str
        Folders of headers that are searched last.
    """
    named = _folders_and_headers(options)
    if named is None:
        return None
    folders, first = named
    known = set(wheels)
    own = [each for each in folders if each not in known]
    digest = hashlib.sha256(repr((folder, sorted(given.items()))).encode())
    start = "".join(f'#include "{name}"\n' for name in first) + source
    waiting, seen, uses_wheels = [(start.encode(), folder)], set[str](), False
    while waiting:
        text, beside = waiting.pop()
        names = _included(text)
        if names is None:
            return None
        for name in names:
            # Every file that the name may mean, since which one it is depends on who asks.
            files = {os.path.abspath(os.path.join(place, name)) for place in (beside, folder, *own)}
            for file in sorted(files - seen):
                content = _content(file)
                digest.update(f"{file} {None if content is None else len(content)}\n".encode() + (content or b""))
                if content is not None:
                    waiting.append((content, os.path.dirname(file)))
            seen |= files
            uses_wheels = uses_wheels or name in given or any(os.path.exists(os.path.join(w, name)) for w in wheels)
    if uses_wheels:
        for line in _state_of_wheels(wheels, own):
            digest.update(line.encode())
    return digest.hexdigest()


def _included(text: bytes) -> list[str] | None:
    """Names of headers in a text, None where they or the text depend on more than the text."""
    if _MOMENT.search(text):
        return None
    names: list[str] = []
    for pattern, must_be_spelled in ((_INCLUDE, True), (_ASKED, False)):
        for rest in pattern.findall(text):
            name = _NAME.match(rest)
            if name is not None:
                names.append(os.fsdecode(name[1]))
            elif must_be_spelled or rest.startswith(b"("):
                return None
    return names


def _content(file: str) -> bytes | None:
    try:
        return Path(file).read_bytes()
    except OSError:
        return None


def _folders_and_headers(options: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """The folders and the headers that options name; None where one names a file of another kind."""
    folders: list[str] = []
    first: list[str] = []
    rest = iter(options)
    for option in rest:
        if _OTHER_FILES.fullmatch(option):
            return None
        for pattern, found in ((_FOLDER, folders), (_FIRST, first)):
            match = pattern.fullmatch(option)
            if match is not None:
                found.append(match[1] or next(rest, ""))
    return folders, first


def _state_of_wheels(wheels: Sequence[str], own: Sequence[str]) -> Iterator[str]:
    """Every header of the wheels, and what stands in the program's folders under the name of one of them."""
    tops = {entry.name for folder in wheels for entry in _entries(folder)}
    roots = [folder for folder in wheels if not any(folder.startswith(f"{other}{os.sep}") for other in wheels)]
    for folder in roots:
        yield from _state(folder)
    for folder in own:
        yield from _state(folder, tops)


def _state(folder: str, tops: set[str] | None = None) -> Iterator[str]:
    for entry in _entries(folder):
        if tops is not None and entry.name not in tops:
            continue
        with contextlib.suppress(OSError):  # a link that leads nowhere
            status = entry.stat()
            yield f"{entry.path} {status.st_size} {status.st_mtime_ns}\n"
            if entry.is_dir(follow_symlinks=tops is not None):  # below, links might lead around in circles
                yield from _state(entry.path)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []
