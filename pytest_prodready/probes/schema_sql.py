"""What all questions to the catalogue share: which things are the user's, and how they are named."""

from __future__ import annotations


def ours(schema: str) -> str:
    """A condition: this row of pg_namespace isn't the server's own."""
    return f"{schema}.nspname <> 'information_schema' AND {schema}.nspname !~ '^pg_'"


def no_member(catalogue: str, oid: str) -> str:
    """A condition: this object doesn't belong to an extension, whose version says all about it."""
    return _no_dependency("e", catalogue, oid)


def no_part(catalogue: str, oid: str) -> str:
    """A condition: this object isn't made together with another, as a range's functions are."""
    return _no_dependency("i", catalogue, oid)


def own(catalogue: str, oid: str, schema: str = "n") -> str:
    """A condition: this object is the user's."""
    return f"{ours(schema)} AND {no_member(catalogue, oid)}"


def owner(column: str) -> str:
    """The end of a definition: whose it is."""
    return f"'owner ' || {column}::regrole"


def _no_dependency(kind: str, catalogue: str, oid: str) -> str:
    return (
        f"NOT EXISTS (SELECT FROM pg_depend depends WHERE depends.deptype = '{kind}'"
        f" AND depends.classid = '{catalogue}'::regclass AND depends.objid = {oid})"
    )
