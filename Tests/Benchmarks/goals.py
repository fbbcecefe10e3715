"""What each row of the report asks for, and what it says about Socket.IO on Node."""

from dataclasses import dataclass

OURS = "holdfast"

# Socket.IO 4.8.3 on Node 20 is not part of a run: it is not in the registries that this benchmark takes its peers
# from. It was measured once, on two such machines' cores as here, with the same loads, beside the peers below; these
# are its figures as shares of theirs. Multiplied by what a peer reaches in a run they say where Node would stand in it.
NODE = {
    "fanout-capacity": ("nchan", 95 / 127),
    "fanout-redis": ("nchan", 82 / 105),
    "connect": ("centrifuge", 1376 / 4560),
    "memory": ("nchan", 12.9 / 10.2),
    "reconnect": ("centrifuge", 3.5 / 0.78),
    "rpc-seat": ("python-socketio", 28_500 / 2_800),
}
# At 100 messages a second to 1,000 subscribers it fell behind: 74,000 deliveries a second, p99 5.9 s after 10 s.
NODE_BEHIND = "behind"


@dataclass(frozen=True)
class Row:
    """One line of the report: a figure of one measurement, for all servers."""

    key: str
    measurement: str
    title: str
    path: str  # where the figure is in a result
    form: str
    more_is_better: bool = True
    # Goals: (peer, factor): ours must be at least so many times the peer's, or at most where less is better.
    times: tuple = ()
    at_most: float | None = None  # in the figure's own unit


ROWS = [
    Row(
        "fanout-capacity",
        "fanout-capacity",
        "broadcast deliveries per second, 8 in flight",
        "deliveries_per_s",
        "{:,.0f}",
        times=(("nchan", 4.0), ("centrifuge", 1.3)),
    ),
    Row(
        "fanout-redis",
        "fanout-redis",
        "the same through Redis, 4 in flight",
        "deliveries_per_s",
        "{:,.0f}",
        times=(("centrifuge", 3.0),),
    ),
    Row(
        "fanout-latency",
        "fanout-latency",
        "broadcast latency p99, open loop, ms",
        "latency_ms.p99",
        "{:,.1f}",
        more_is_better=False,
        times=(("centrifuge", 1.0),),
    ),
    Row(
        "rpc-seat",
        "rpc-seat",
        "acknowledgements per second",
        "acks_per_s",
        "{:,.0f}",
        times=(("python-socketio", 30.0),),
    ),
    Row(
        "rpc-echo",
        "rpc-echo",
        "the same, 200 bytes echoed",
        "acks_per_s",
        "{:,.0f}",
        times=(("python-socketio", 30.0),),
    ),
    Row(
        "connect",
        "connect",
        "connections per second, authenticated",
        "connects_per_s",
        "{:,.0f}",
        times=(("centrifuge", 1.75),),
    ),
    Row(
        "memory",
        "connect",
        "resident memory per idle connection, KiB",
        "rss_bytes_per_connection",
        "{:.1f}",
        more_is_better=False,
        at_most=8.0,
    ),
    Row(
        "reconnect",
        "reconnect",
        "cut at once and restored, s",
        "restored_s",
        "{:.2f}",
        more_is_better=False,
        times=(("centrifuge", 0.9),),
        at_most=0.7,
    ),
]


def judged(row, ours, peers):
    """The goals of a row in words, and whether all were met; None if one could not be judged.

    `peers` has each peer's median, or None where it could not be measured.
    """
    words, met = [], True
    for peer, factor in row.times:
        theirs = peers.get(peer)
        compared = "≥" if row.more_is_better else "≤" if factor < 1 else "<"
        words.append(f"{compared} {factor:g} × {peer}")
        if ours is None or not theirs:
            met = None
        elif met is not None:
            met = met and (ours >= factor * theirs if row.more_is_better else ours <= factor * theirs)
    if row.at_most is not None:
        words.append(f"≤ {row.at_most:g}")
        if ours is None:
            met = None
        elif met is not None:
            met = met and ours <= row.at_most
    return ", ".join(words), met


def node_figure(row, peers):
    """Where Socket.IO on Node would stand in this run."""
    if row.key == "fanout-latency":
        return NODE_BEHIND
    peer, share = NODE.get(row.key, (None, None))
    theirs = peers.get(peer)
    return None if theirs is None else share * theirs
