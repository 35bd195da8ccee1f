"""A second PostgreSQL of the same image, on which nothing of the service's is: no role, no database."""

from __future__ import annotations

from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.containers.postgres import PostgresContainer, number_of
from pytest_prodready.environment.containers.stage import Stage


class EmptyContainer(PostgresContainer):
    """A server as a restore after the loss of the first one finds it; its superuser is the first one's."""

    def __init__(self, stage: Stage, authority: Authority, first: PostgresContainer, name: str) -> None:
        super().__init__(
            stage,
            first.image,
            authority,
            first.account,
            first._config,
            name=name,
            admin_password=first.admin_password,
        )
        self._log_file = stage.run.folder / f"{name}.log"

    def discard(self) -> None:
        """Remove it with its data; its log stays in the run's folder."""
        if self._box.exists:
            with self._log_file.open("a") as log:
                log.write(self._box.logs())
        super().discard()

    def _set_up(self) -> None:
        with self.connect("postgres") as admin:
            self.version = number_of(admin.info.server_version)
