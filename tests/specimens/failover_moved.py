"""A defect that shows when the database's name moves to another address."""

from __future__ import annotations

from tests.specimens import Specimen, Swap

SPECIMENS = (
    Specimen(
        name="failover-pinned-address",
        breaks="failover.moved-address-is-followed",
        says="kept connecting to the old address",
        swaps=(
            Swap(
                "jobboard/dsn.py",
                "        **given,\n",
                '        **given,\n        "hostaddr": __import__("socket").gethostbyname(given["host"]),\n',
            ),
        ),
        settings={"failover.moved_within_s": 10},  # it would never follow, and is known sooner
        still_passes=("failover.outage-is-survived",),
    ),
)
