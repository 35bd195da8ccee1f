"""Judge statements that a request repeats: once for each row of another one, or a fixed number of times."""

from __future__ import annotations

from typing import Any

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.explain_accepted import accepted
from pytest_prodready.checks.explain_words import counted, listed, short
from pytest_prodready.findings import Finding
from pytest_prodready.probes.plans import Plans, Repeat
from pytest_prodready.settings import ExplainSettings

GROWN = 3  # calls more that are no accident
CLEARLY = 1.5  # times as many


def no_n_plus_one(seen: Plans, limits: ExplainSettings) -> Finding:
    """No request runs a statement again for each row that another one returned."""
    rule = RULES["explain.no-n-plus-one"]
    details: dict[str, Any] = {
        "limit": f"fewer than {limits.repeats} times, or as often on more rows as on few",
        "limits": {"repeats": limits.repeats},
    }
    if seen.doubt:
        return rule.inconclusive(seen.doubt, **details)
    if not seen.asked or not seen.statements:
        return rule.inconclusive("no statement was captured", **details)
    repeated = [each for each in seen.repeats if max(each.calls, each.many_calls) >= limits.repeats]
    fine = accepted(rule, seen, limits, (each.text for each in repeated if each.doubt or grows(each)))
    repeated = [each for each in repeated if each.text not in fine.texts]
    growing = [each for each in repeated if not each.doubt and grows(each)]
    if growing:
        change = "; ".join(dict.fromkeys(map(_change, growing)))
        return rule.failed(f"{listed(map(_words, growing))}{fine.note}", change=change, **details)
    if doubtful := [each for each in repeated if each.doubt]:
        words = [f"{_name(each)} {each.calls} times, and {each.doubt}" for each in doubtful]
        return rule.inconclusive(f"{listed(words)}{fine.note}", **details)
    largest = max(each.rows for each in seen.asked)
    if not repeated and not fine.texts and largest < limits.repeats:
        return rule.inconclusive(
            f"no request had a result of {limits.repeats} rows or more (the largest had {largest}), so that"
            f" none could show it{fine.note}",
            change="declare a request in [[requests]] that lists what the data has many of",
            **details,
        )
    constant = f"; a fixed number of times: {listed(map(_fixed, repeated))}" if repeated else ""
    requests = counted(len(seen.asked), "request")
    return rule.passed(
        f"{requests}, none of them repeats a statement for each row of up to {largest}{constant}{fine.note}",
        **details,
    )


def grows(repeat: Repeat) -> bool:
    """Whether there are more calls on more rows; one call for each batch of rows is as it should be."""
    if repeat.many_calls < repeat.few_calls + GROWN or repeat.many_calls < CLEARLY * repeat.few_calls:
        return False
    batches = repeat.few_calls <= 1 < repeat.few_rows and repeat.many_calls * 5 <= repeat.many_rows
    return not batches


def _name(repeat: Repeat) -> str:
    return f"{repeat.request}: {short(repeat.text)}"


def _words(repeat: Repeat) -> str:
    parent = repeat.table.removeprefix("public.") or "its parent"
    few = f"{repeat.few_calls} times on {repeat.few_rows} rows of {parent}"
    return f"{_name(repeat)}: {few}, {repeat.many_calls} times on {repeat.many_rows}"


def _fixed(repeat: Repeat) -> str:
    return f"{_name(repeat)}, {repeat.calls} times"


def _change(repeat: Repeat) -> str:
    parent = f" with {short(repeat.parent)}" if repeat.parent else ""
    return (
        f"fetch them together{parent}: a JOIN, or one WHERE … = ANY($1) for all rows (an ORM's joined or"
        f" select-in loading), instead of {short(repeat.text)} for each"
    )
