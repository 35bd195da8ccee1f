"""Finds values that a column's conditions accept: nothing is parsed, the server is asked what it takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import psycopg

from pytest_prodready.environment.rows_catalogue import STRING
from pytest_prodready.environment.rows_lines import Line, accepted_spans, along, line_of, numbers_in
from pytest_prodready.environment.rows_tables import (
    Check,
    Column,
    Connection,
    Table,
    fetch,
    ident,
    literal,
    refused,
)
from pytest_prodready.environment.rows_texts import shapes
from pytest_prodready.environment.rows_types import TEXTS, Types, salt_of, text_limit
from pytest_prodready.environment.rows_values import Values, chance, drawn, listed

AT_ONCE = 100  # candidates in one question
SAMPLED = 1000  # existing rows that are looked at
MODEL_ROWS, MODEL_VALUES = 10, 50  # few values in many rows: the others will have the same
OFTEN = 0.6  # of the rows have one of the values that stand out
SHARE = 0.05  # of the values may be accepted, when the rest can be left out
CONSTANT = re.compile(r"(?:'(?:[^']|'')*'|\(?-?[\d.]+\)?|true|false|ARRAY\[\])(?:::[\w\s.\"\[\](),]+)?$")
NOW_ISH = (
    "now()",
    "CURRENT_TIMESTAMP",
    "LOCALTIMESTAMP",
    "CURRENT_DATE",
    "clock_timestamp()",
    "transaction_timestamp",
)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a column gets."""

    column: Column
    values: Values | None  # None: nothing, so that it has its default
    nulls: float = 0.0  # share


class Fitting:
    """Finds what each column of one table takes."""

    def __init__(self, connection: Connection, types: Types, table: Table, rows: int) -> None:
        self._connection, self._types, self._table, self._rows = connection, types, table, rows

    def fitted(self, column: Column, *, alone: bool) -> Fitted:
        """What this column gets; `alone`: its values may have to differ, so existing ones are no model."""
        wished = self._checks_of(column)
        checks = [check for check in wished if not check.wished]
        plain = self._types.values(column.type, column.modifier, self._salt(column))
        values = self._accepted(column, wished, plain) if wished else plain
        if values is None and checks != wished:
            values = self._accepted(column, checks, plain) if checks else plain
        if values is not None and not alone:
            values = self._as_used(column, checks, values)
        nulls = self._nulls(column, checks)
        if values is None and not nulls and (column.default is None or column.sequence is not None):
            raise self._hopeless(column, checks)
        return Fitted(column, values, nulls)

    def _checks_of(self, column: Column) -> list[Check]:
        own = [check for check in self._table.checks if check.columns == (column.name,)]
        return [*own, *self._types.checks(column)]

    def _salt(self, column: Column) -> int:
        return salt_of(self._table.plain_name, column.name)

    def _as_used(self, column: Column, checks: Sequence[Check], values: Values) -> Values:
        """The same, closer to how such a column looks in use."""
        default = column.default or ""
        if any(word in default for word in NOW_ISH):
            return replace(values, rising=True)
        existing = [] if checks or not self._is_text(column) else self._existing(column)
        if existing:
            return self._listed(column, existing)
        few = values.count is not None and values.count <= MODEL_VALUES
        together = [] if few else self._compared(column)
        if together:
            return _often(values, self._listed(column, together), self._salt(column))
        if not CONSTANT.match(default) or not self._accepts(column, checks, [f"({default})"])[0]:
            return values
        if few:
            return self._default_first(column, values, default)
        return _often(values, self._listed(column, [f"({default})"]), self._salt(column))

    def _default_first(self, column: Column, plain: Values, default: str) -> Values:
        """An enumeration with its default in front, where the commonest stands."""
        type_name = self._cast(column)
        count = plain.count or 1
        rows = ", ".join(
            f"{plain.at(str(k))} IS NOT DISTINCT FROM ({default})::{type_name}" for k in range(count)
        )
        same = fetch(self._connection, f"SELECT {rows}")[0]
        order = sorted(range(count), key=lambda k: not same[k])
        return self._listed(column, [plain.at(str(k)) for k in order])

    def _existing(self, column: Column) -> list[str]:
        """The few values that existing rows have, the commonest first; none where they have many."""
        query = (
            f"SELECT v::text, count(*), sum(count(*)) OVER () FROM (SELECT {column.sql} AS v"  # noqa: S608
            f" FROM {self._table.name} LIMIT {SAMPLED}) AS s WHERE v IS NOT NULL"
            " GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        found = fetch(self._connection, query)
        if not found or found[0][2] < MODEL_ROWS or len(found) > min(MODEL_VALUES, found[0][2] // 2):
            return []
        return [literal(value) for value, *_ in found]

    def _accepted(self, column: Column, checks: Sequence[Check], plain: Values | None) -> Values | None:
        """The first series that the conditions accept."""
        good, share = (0, 0.0) if plain is None else self._tried(column, checks, plain)
        if plain is not None and share == 1:
            return plain
        line = self._line(column)
        along_it = None if line is None else self._on_line(column, checks, line, plain)
        if plain is not None and share >= SHARE and (along_it is None or good > (along_it.count or 0)):
            return plain
        return along_it or self._of_shape(column, checks) or self._named(column, checks)

    def _tried(self, column: Column, checks: Sequence[Check], values: Values) -> tuple[int, float]:
        """How many of these values are accepted, and which share of those tried that is."""
        spread = values.spread(self._rows)
        last = spread - 1 if values.count is not None else max(spread, 2 * self._rows)
        some = {0, spread - 1, last, *(spread * place // 40 for place in range(40)), *range(min(spread, 60))}
        given = Check("", (column.name,), f"{column.sql} IS NOT NULL", "")
        made = [values.at(f"{k}::bigint") for k in sorted(some)]
        answers = self._accepts(column, [*checks, given], made)
        return sum(answers), sum(answers) / len(answers)

    def _on_line(
        self, column: Column, checks: Sequence[Check], line: Line, plain: Values | None
    ) -> Values | None:
        constants = self._constants(checks, line)
        spans = accepted_spans(line, constants, lambda sql: self._accepts(column, checks, sql))
        usual = 10_000 if plain is None else plain.spread(self._rows)
        return along(line, spans, usual) if spans else None

    def _constants(self, checks: Sequence[Check], line: Line) -> list[Decimal]:
        if not line.epoch:
            return numbers_in(check.sql for check in checks)
        found = [Decimal(fetch(self._connection, "SELECT extract(epoch FROM current_date)")[0][0])]
        for text in _strings(checks):
            query = f"SELECT {line.epoch.format(text=literal(text))}"
            try:
                with self._connection.transaction():
                    found.append(Decimal(fetch(self._connection, query)[0][0]))
            except (psycopg.Error, ArithmeticError):
                continue
        return found

    def _of_shape(self, column: Column, checks: Sequence[Check]) -> Values | None:
        if not self._is_text(column):
            return None
        strings = _strings(checks)
        lengths = [
            int(number) for number in numbers_in(check.sql for check in checks) if 0 <= number <= 10_000
        ]
        _, modifier = self._types.base(column.type, column.modifier)
        series = shapes(self._cast(column), strings, lengths, text_limit(modifier))
        return next((values for values in series if self._tried(column, checks, values)[1] == 1), None)

    def _named(self, column: Column, checks: Sequence[Check]) -> Values | None:
        """Values that the conditions themselves name, that existing rows have, or the default."""
        candidates = [*self._existing(column), *self._literals(column, checks)]
        if column.default and CONSTANT.match(column.default):
            candidates.insert(0, f"({column.default})")
        cast = self._cast(column)
        unique = list(dict.fromkeys(candidates))
        answers = self._accepts(column, checks, [f"{one}::{cast}" for one in unique])
        good = [one for one, accepted in zip(unique, answers, strict=True) if accepted]
        return self._listed(column, self._without_twins(good, cast)) if good else None

    def _compared(self, column: Column) -> list[str]:
        """Values that conditions of several columns compare this one with."""
        compared = re.compile(rf'(?<![\w"]){re.escape(column.name)}"?\)?(::[\w ]+)? (=|<>) ')
        several = (check for check in self._table.checks if len(check.columns) > 1)
        checks = [check for check in several if column.name in check.columns and compared.search(check.sql)]
        cast = self._cast(column)
        found = [f"{one}::{cast}" for one in self._literals(column, checks)]
        answers = self._accepts(column, self._checks_of(column), found)
        return self._without_twins([one for one, ok in zip(found, answers, strict=True) if ok], cast)

    def _literals(self, column: Column, checks: Sequence[Check]) -> list[str]:
        strings = _strings(checks)
        arrays = [text for text in strings if text.startswith("{")]
        for text in arrays:
            try:
                with self._connection.transaction():
                    strings += [
                        row[0] for row in fetch(self._connection, f"SELECT unnest({literal(text)}::text[])")
                    ]
            except psycopg.Error:
                continue
        numbers = [] if self._is_text(column) else [str(n) for n in numbers_in(check.sql for check in checks)]
        return [literal(text) for text in (*strings, *numbers)]

    def _without_twins(self, values: Sequence[str], cast: str) -> list[str]:
        """The same without values that differ only as they are written."""
        if not values:
            return []
        texts = fetch(self._connection, "SELECT " + ", ".join(f"{value}::{cast}::text" for value in values))[
            0
        ]
        first: dict[str, str] = {}
        for text, value in zip(texts, values, strict=True):
            first.setdefault(text, value)
        return list(first.values())

    def _nulls(self, column: Column, checks: Sequence[Check]) -> float:
        """The share of nulls: some where they may be, more where rows hang on them."""
        if column.required or not self._accepts(column, checks, [f"NULL::{self._cast(column)}"])[0]:
            return 0.0
        together = any(column.name in check.columns for check in self._table.checks if len(check.columns) > 1)
        timed = self._line(column) is not None and bool(self._line(column).epoch)  # type: ignore[union-attr]
        return 0.5 if together or (timed and not column.default) else 0.1

    def _line(self, column: Column) -> Line | None:
        oid, modifier = self._types.base(column.type, column.modifier)
        about = self._types.about(oid)
        if not about.built_in:
            return None
        scale = digits = None
        if about.name == "numeric" and modifier >= 4:
            digits, scale = (modifier - 4) >> 16, (modifier - 4) & 0x7FF
        return line_of(about.name, self._cast(column), scale, digits)

    def _listed(self, column: Column, values: Sequence[str]) -> Values:
        arrays = self._types.about(self._types.base(column.type, -1)[0]).is_array
        return listed(values, self._cast(column), arrays=arrays)

    def _is_text(self, column: Column) -> bool:
        return self._types.about(self._types.base(column.type, -1)[0]).name in TEXTS

    def _cast(self, column: Column) -> str:
        return self._types.name(*self._types.base(column.type, column.modifier))

    def _accepts(self, column: Column, checks: Sequence[Check], values: Sequence[str]) -> list[bool]:
        """Which of these values every condition accepts; one that can't be computed is not accepted."""
        condition = " AND ".join(f"({check.sql})" for check in checks) or "true"
        questions = [
            f"(SELECT ({condition}) IS NOT FALSE FROM (SELECT {value} AS {column.sql}) AS {ident('row')})"  # noqa: S608
            for value in values
        ]
        chunks = [questions[start : start + AT_ONCE] for start in range(0, len(questions), AT_ONCE)]
        return [answer for chunk in chunks for answer in self._answers(chunk)]

    def _answers(self, questions: list[str]) -> list[bool]:
        try:
            with self._connection.transaction():
                return [
                    bool(answer) for answer in fetch(self._connection, "SELECT " + ", ".join(questions))[0]
                ]
        except psycopg.Error:
            if len(questions) == 1:
                return [False]
        middle = len(questions) // 2
        return self._answers(questions[:middle]) + self._answers(questions[middle:])

    def _hopeless(self, column: Column, checks: Sequence[Check]) -> Exception:
        about = f"{column.name} {column.type_name}"
        if not checks:
            return refused(self._table.name, f"nothing is known of the type of {about}")
        names = ", ".join(dict.fromkeys(check.name for check in checks))
        return refused(
            self._table.name,
            f"no value was found for {about} that {names} accepts",
            value="; ".join(dict.fromkeys(check.definition for check in checks)),
            tried=[
                "plain values of the type",
                "values around and between its constants",
                "common shapes of texts",
            ],
        )


def _often(values: Values, common: Values, salt: int) -> Values:
    """Values of which a few are common."""

    def at(k: str) -> str:
        one = common.at(drawn(k, salt + 6, common.count or 1))
        return f"(CASE WHEN {chance(k, salt + 5)} < {OFTEN} THEN {one} ELSE {values.at(k)} END)"

    return replace(values, at=at, distinct=False)


def _strings(checks: Iterable[Check]) -> list[str]:
    texts = (text for check in checks for text in STRING.findall(check.sql))
    return list(dict.fromkeys(text[1:-1].replace("''", "'") for text in texts))
