"""`python -m jobboard --port N` runs the service."""

import argparse
import logging

from jobboard import logs
from jobboard.server import DrainingServer
from jobboard.settings import Settings, SettingsError


def main() -> int:
    """Run until told to stop; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m jobboard", description="Run the job board.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    logs.configure()
    try:
        server = DrainingServer(Settings.from_env(), options.host, options.port)
    except SettingsError as error:
        logging.getLogger("jobboard").critical("can't start: %s", error)
        return 2
    server.run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
