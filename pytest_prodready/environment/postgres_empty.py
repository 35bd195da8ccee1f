"""A second PostgreSQL of the same programs, on which nothing of the service's is: no role, no database."""

from __future__ import annotations

import shutil

from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_account import change_admin_password
from pytest_prodready.environment.runs import Run


class EmptyServer(PostgresServer):
    """A server as a restore after the loss of the first one finds it; its superuser is the first one's."""

    def __init__(self, run: Run, authority: Authority, first: PostgresServer, name: str) -> None:
        super().__init__(run, first.binary, authority, first.account, first._config, name=name)
        self.admin_password = first.admin_password

    def discard(self) -> None:
        """Shut it down at once, and remove its data."""
        super().discard()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _set_up(self, template_password: str) -> None:
        with self.connect("postgres", password=template_password) as admin:
            change_admin_password(admin, self.admin_password)
