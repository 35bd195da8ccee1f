"""JSON as Toxiproxy reads and writes it.

Clients depend on details of Go's decoder: keys match in any case, the first value of the body counts, null
means the default, and numbers with a fraction are no integers.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from decimal import Decimal

from pytest_prodready.faultproxy.refusals import bad_body

Fields = Mapping[str, object]

INT64_MAX = 2**63 - 1
FLOAT32_MAX = 3.4028234663852886e38
_SPACE = " \t\r\n"
_TINY = re.compile(r'("toxicity":)(-?[\d.]+e-(\d+))')  # no text contains this: its quotes are escaped
# The Go encoder escapes these for the sake of browsers; answers stay comparable byte for byte.
_ESCAPES = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


def _lowered(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return {key.lower(): value for key, value in pairs if value is not None}


def _no_constant(name: str) -> object:
    raise ValueError(f"invalid character {name[0]!r} looking for beginning of value")


_DECODER = json.JSONDecoder(object_pairs_hook=_lowered, parse_constant=_no_constant)


def decode(body: bytes) -> object:
    """The first JSON value of a request's body; keys in lower case, nulls left out."""
    text = body.decode("utf-8", "replace").strip(_SPACE)
    if not text:
        raise bad_body("EOF")
    try:
        value: object = _DECODER.raw_decode(text)[0]
    except json.JSONDecodeError as error:
        raise bad_body(_syntax(error, text)) from error
    except (ValueError, RecursionError) as error:
        raise bad_body(str(error)) from error
    return value


def _syntax(error: json.JSONDecodeError, text: str) -> str:
    if error.pos >= len(text) or error.msg.startswith("Unterminated string"):
        return "unexpected EOF"
    return f"invalid character {text[error.pos]!r} at offset {error.pos}: {error.msg}"


def encode(value: object) -> bytes:
    """Compact JSON, the bytes that Toxiproxy would send."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)
    return _TINY.sub(_without_padding, text).encode("utf-8", "replace")


def _without_padding(match: re.Match[str]) -> str:
    """The fraction as Go writes it: in full from a millionth on, and below that with a bare exponent."""
    key, number, exponent = match.groups()
    return key + (f"{Decimal(number):f}" if int(exponent) <= 6 else number.replace("e-0", "e-"))


def as_fields(value: object, what: str) -> Fields:
    """An object's fields; null is an object without any."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise _mismatch(value, what, "object")


def text(fields: Fields, name: str, default: str) -> str:
    """A string field."""
    value = fields.get(name, default)
    if isinstance(value, str):
        return value
    raise _mismatch(value, name, "string")


def flag(fields: Fields, name: str, default: bool) -> bool:
    """A boolean field."""
    value = fields.get(name, default)
    if isinstance(value, bool):
        return value
    raise _mismatch(value, name, "bool")


def integer(fields: Fields, name: str, default: int) -> int:
    """An integer field of 64 bits; 1.0 is none."""
    value = fields.get(name, default)
    if isinstance(value, int) and not isinstance(value, bool) and -INT64_MAX - 1 <= value <= INT64_MAX:
        return value
    raise _mismatch(value, name, "int64")


def fraction(fields: Fields, name: str, default: float) -> float:
    """A number field, rounded as single precision would."""
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= FLOAT32_MAX:
        raise _mismatch(value, name, "float32")
    return _single(float(value))


def _single(value: float) -> float:
    """The shortest number that names the same single-precision float."""
    wanted = struct.pack("f", value)
    (single,) = struct.unpack("f", wanted)
    for digits in range(1, 9):
        short = float(f"{single:.{digits}g}")
        if struct.pack("f", short) == wanted:
            return short
    return float(f"{single:.9g}")


def shown(value: float) -> int | float:
    """A number without a needless `.0`."""
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def _mismatch(value: object, name: str, wanted: str) -> Exception:
    kind = "bool" if isinstance(value, bool) else _KINDS.get(type(value), "null")
    number = f" {value}" if kind == "number" and wanted != "string" else ""
    return bad_body(f"json: cannot unmarshal {kind}{number} into {name} of type {wanted}")


_KINDS: dict[type, str] = {str: "string", int: "number", float: "number", list: "array", dict: "object"}
