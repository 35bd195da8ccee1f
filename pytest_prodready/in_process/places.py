"""The line of a user's code that is under way: noted in about a microsecond, since every statement asks."""

from __future__ import annotations

import re
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

OURS = str(Path(__file__).parents[1])
STANDARD = sysconfig.get_paths()["stdlib"]
INSTALLED = ("/site-packages/", "/dist-packages/")
CONNECTING = "/sqlalchemy/engine/create.py"  # a new engine asks its server for the version and more
USERS, LIBRARYS, CONNECTS = range(3)
NAMELESS = re.compile(r"(\.<locals>\.<(listcomp|setcomp|dictcomp|genexpr|lambda)>)+$")
TEMPLATE = "__jinja_template__"  # as Jinja's own tracebacks find the template of a frame

Noted = tuple[CodeType, int, Any]  # the code, how far it has come, and the template that it was made from


@dataclass(frozen=True, slots=True)
class Place:
    """A line of code."""

    file: str
    line: int
    function: str

    @classmethod
    def of(cls, noted: Noted) -> Place:
        """The place that was noted; finding out the line is left until somebody wants to read it."""
        code, reached, template = noted
        lines = (line for start, end, line in code.co_lines() if start <= reached < end and line is not None)
        line = next(lines, code.co_firstlineno)
        if template is not None:
            return cls(code.co_filename, template.get_corresponding_lineno(line), "the template")
        return cls(code.co_filename, line, NAMELESS.sub("", code.co_qualname).rpartition("<locals>.")[2])

    def seen_from(self, folder: Path) -> str:
        """The line in words: `app/jobs.py:42 in list_jobs`."""
        path = Path(self.file)
        name = path.relative_to(folder) if path.is_relative_to(folder) else path
        return f"{name}:{self.line} in {self.function}"


def nearest(frame: FrameType | None) -> Noted | int:
    """The nearest line that is in no library; CONNECTS where a new engine is at work, LIBRARYS for none.

    SQLAlchemy runs its synchronous half in a greenlet: then the search goes on in what waits for that.
    """
    while frame is not None:
        code = frame.f_code
        kind = _kind(code.co_filename)  # by name: a name keeps its hash, a code object doesn't
        if kind != LIBRARYS:
            return kind if kind == CONNECTS else (code, frame.f_lasti, frame.f_globals.get(TEMPLATE))
        frame = frame.f_back
    return _nearest_awaiting()


def _nearest_awaiting() -> Noted | int:
    module = sys.modules.get("greenlet")
    greenlet = module and module.getcurrent().parent
    while greenlet is not None:
        frame = greenlet.gr_frame
        while frame is not None:
            if _kind(frame.f_code.co_filename) == USERS:
                return frame.f_code, frame.f_lasti, frame.f_globals.get(TEMPLATE)
            frame = frame.f_back
        greenlet = greenlet.parent
    return LIBRARYS


@cache
def _kind(file: str) -> int:
    path = file.replace("\\", "/")
    if path.endswith(CONNECTING):
        return CONNECTS
    library = file.startswith(("<", OURS, STANDARD)) or any(part in path for part in INSTALLED)
    return LIBRARYS if library else USERS
