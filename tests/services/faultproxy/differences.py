"""Where the built-in server differs from Toxiproxy 2.12 on purpose: the one list of it.

`test_differences` has a test for each entry, by its name; `docs/faultproxy.md` shows the entries.
"""

from __future__ import annotations

DIFFERENCES: dict[str, str] = {
    "omitted_listen": """
        A proxy created without `listen` listens on the host of the API, 127.0.0.1 unless `--host` says
        otherwise; Toxiproxy listens on all interfaces. `:0` and `0.0.0.0:0` mean all interfaces for
        both.""",
    "deadly_attributes": """
        `bandwidth` with a negative rate and `slicer` whose pieces could not be cut (average below 1, or
        variation over the average) are refused with 400. Toxiproxy accepts them, and most of them kill
        it at the first data.""",
    "refused_change": """
        A PATCH of a toxic that is refused changes nothing; Toxiproxy keeps the attributes it had read
        before the error.""",
    "reset_of_live_connections": """
        `reset_peer` sends RST on connections that are older than the toxic, too; Toxiproxy closes those
        with FIN.""",
    "end_of_spared_connections": """
        A connection that `reset_peer` spared by chance ends with FIN; with Toxiproxy it ends with RST.""",
    "deletion_during_reset": """
        Deleting a `reset_peer` that waits to reset is answered at once, and the reset still comes in
        time; Toxiproxy answers when it has come.""",
    "neighbours": """
        Adding or removing a toxic leaves its neighbours alone; Toxiproxy lets go of what the one before
        it holds back.""",
    "toxicity_of_neighbours": """
        Nor is the toxicity of neighbours rolled again: who was spared is still spared.""",
    "latencies_in_a_row": """
        Two latencies in a row always add up; with Toxiproxy data that waited behind other data gets
        less.""",
    "disabled_port": """
        The port of a disabled proxy stays reserved until the proxy is enabled, moved or deleted, so
        that no outgoing connection is given it meanwhile. On Linux, a server that sets SO_REUSEADDR can
        still take it.""",
    "slow_upstream": """
        Clients are connected to the upstream side by side; Toxiproxy connects them one by one, so that
        an upstream that doesn't answer holds up all.""",
    "failed_reset": """
        When `/reset` fails for one proxy, those created before it are reset; with Toxiproxy it is any.""",
    "logger": """
        `Logger` isn't among the fields of a proxy, and is ignored where it is given; Toxiproxy shows
        it, and refuses one that is no object.""",
    "extensions": """
        There are paths under `/prodready/`, the toxics `packet_loss` and `total_bandwidth`, and the
        field `only` of a toxic. Toxiproxy answers 404 and 400, and ignores the field.""",
    "left_out": """
        There are no metrics, no TLS to the upstream and no configuration file: `POST /populate` does
        that.""",
}


def listed() -> str:
    """The differences as Markdown."""
    return "\n".join(f"- {_wrapped(text)}" for text in DIFFERENCES.values())


def _wrapped(text: str) -> str:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > 112:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return "\n  ".join([*lines, line])
