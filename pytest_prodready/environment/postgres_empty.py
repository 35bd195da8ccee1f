"""A second PostgreSQL of the same programs, on which nothing of the service's is: no role, no database."""

from __future__ import annotations

from pytest_prodready.environment.postgres_account import change_admin_password
from pytest_prodready.environment.postgres_second import SecondServer


class EmptyServer(SecondServer):
    """A server as a restore after the loss of the first one finds it; its superuser is the first one's."""

    def _set_up(self, template_password: str) -> None:
        with self.connect("postgres", password=template_password) as admin:
            change_admin_password(admin, self.admin_password)
