"""What every further PostgreSQL of a run in a container has of the first one, and what stays of it."""

from __future__ import annotations

from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.containers.postgres import PostgresContainer
from pytest_prodready.environment.containers.stage import Stage


class SecondContainer(PostgresContainer):
    """Another PostgreSQL of the same image, settings and passwords as the first one."""

    def __init__(self, stage: Stage, authority: Authority, first: PostgresContainer, name: str) -> None:
        self._log_file = stage.run.folder / f"{name}.log"
        super().__init__(
            stage,
            first.image,
            authority,
            first.account,
            first._config,
            name=name,
            admin_password=first.admin_password,
        )

    def discard(self) -> None:
        """Remove it with its data; its log stays in the run's folder."""
        if self._box.exists:
            with self._log_file.open("a") as log:
                log.write(self._whole_log())
        super().discard()

    def _whole_log(self) -> str:
        return self._box.logs()
