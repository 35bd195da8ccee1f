"""What every server of ours in a container can do: stop, die, freeze, and run again on the same address."""

from __future__ import annotations

from pytest_prodready.environment.containers.box import Box, Plan
from pytest_prodready.environment.containers.stage import Stage
from pytest_prodready.stopwatch import STARTING, spent


class ContainerServer:
    """A server in a container; what it takes to be ready is its own."""

    stop_within_s = 20.0

    def __init__(self, stage: Stage, plan: Plan) -> None:
        self._running = False
        self._box = Box(stage, plan)

    @property
    def box(self) -> Box:
        """Its container."""
        return self._box

    @property
    def paused(self) -> bool:
        """Whether it is frozen."""
        return self._box.paused

    @property
    def alive(self) -> bool:
        """Whether it was started and not stopped; what ended by itself shows at the next connection."""
        return self._running

    @spent(STARTING)
    def start(self) -> None:
        """Start it on its data and address, and wait until it answers."""
        if not self._running:
            self._box.start()
            self._wait_until_ready()

    def stop(self) -> None:
        """Shut it down in order."""
        if self._box.exists:
            self._running = False
            self._box.stop(self.stop_within_s)

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """End every process of it at once, as a power cut would."""
        if self._box.exists:
            self._running = False
            self._box.kill()

    def discard(self) -> None:
        """Remove it with its data."""
        self._running = False
        self._box.remove()

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing answers."""
        self._box.pause()

    def resume(self) -> None:
        """Let it go on."""
        self._box.resume()

    def log(self) -> str:
        """All of its log up to now."""
        return self._box.logs()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        return "\n".join(self._box.logs().splitlines()[-lines:])

    def _wait_until_ready(self) -> None:
        raise NotImplementedError
