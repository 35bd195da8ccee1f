"""A second PostgreSQL of the same image, on which nothing of the service's is: no role, no database."""

from __future__ import annotations

from pytest_prodready.environment.containers.postgres import number_of
from pytest_prodready.environment.containers.postgres_second import SecondContainer


class EmptyContainer(SecondContainer):
    """A server as a restore after the loss of the first one finds it; its superuser is the first one's."""

    def _set_up(self) -> None:
        with self.connect("postgres") as admin:
            self.version = number_of(admin.info.server_version)
