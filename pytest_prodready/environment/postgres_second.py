"""What every further local PostgreSQL of a run has of the first one, and what goes with it."""

from __future__ import annotations

import shutil

from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.runs import Run


class SecondServer(PostgresServer):
    """Another PostgreSQL of the same programs, settings and passwords as the first one."""

    def __init__(self, run: Run, authority: Authority, first: PostgresServer, name: str) -> None:
        super().__init__(run, first.binary, authority, first.account, first._config, name=name)
        self.admin_password = first.admin_password

    def discard(self) -> None:
        """Shut it down at once, and remove its folder with all that lies in it."""
        super().discard()
        shutil.rmtree(self.folder, ignore_errors=True)
