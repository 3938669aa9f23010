"""Which programs offer and answer a stream of traffic, and how each is run."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .network import Network
from .plan import Load as Stream
from .plan import Traffic
from .program import Recipe
from .traffic import BULK_PORT, HTTP_PORT, LOOKUP_PORT
from .trunk import SIP_PORT

SCENARIOS = Path(__file__).parent / "scenarios"
# Our own traffic, run without any packages: a tenth of a second faster to start.
ROOT = Path(__file__).parents[2]
MAIN = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from training.lab.traffic import main; main()"
)
PYTHON = (sys.executable, "-I", "-S", "-c", MAIN)
# As RFC 3261 has it: from 0.5 s doubled, to 4 s at most except for INVITE, for 32 s in all. Calls
# that wait without asking again are given up after 40 s. Its watchdog would end a program that was
# stopped for a while; it may complain without end.
SIPP = (
    *("sipp", "-nostdin", "-timer_resol", "20", "-f", "60"),
    *("-max_invite_retrans", "6", "-max_non_invite_retrans", "10", "-T2", "4000"),
    *("-recv_timeout", "40000", "-default_behaviors", "all,-bye"),
    *("-watchdog_minor_maxtriggers", "100000000", "-watchdog_major_maxtriggers", "100000000"),
)
MOST_STREAMS = 8  # of a load; the ports after theirs are for what answers
MOST_CALLS = 20_000  # open at once of one stream; 600 a second fill it in a block
NGINX = """
daemon off; master_process off; worker_processes 1; pid "{folder}/pid"; error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
    access_log off; default_type application/octet-stream;
    keepalive_timeout 15; client_header_timeout 15; send_timeout 15; reset_timedout_connection on;
    client_body_temp_path "{folder}/body"; proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi"; scgi_temp_path "{folder}/scgi";
    uwsgi_temp_path "{folder}/uwsgi";
    server {{ listen {address}:{port}; root "{folder}/files"; }}
}}
"""
FILES_KIB = (1, 4, 16, 64)

# What offers a stream: a word of `traffic`, or else SIPp with the scenario of its name.
OFFERS = {
    Traffic.CALL_TCP: "calls",
    Traffic.HTTP: "http",
    Traffic.BULK: "bulk",
    Traffic.LOOKUP: "lookup",
}


class Side:
    """Where a stream's programs run: who asks, and who answers."""

    def __init__(self, network: Network, folder: Path, reverse: bool) -> None:
        caller = (network.caller, network.caller_address, "caller")
        callee = (network.callee, network.callee_address, "callee")
        (self.asks, self.asks_at, self.asks_name) = callee if reverse else caller
        (self.answers, self.answers_at, self.answers_name) = caller if reverse else callee
        self.folder = folder
        self.reverse = reverse


def servers(load: Sequence[Stream], side: Side) -> list[Recipe]:
    """Give what answers the streams of one direction."""
    wanted = {ANSWERS[stream.traffic] for stream in load if stream.reverse == side.reverse}
    return [recipe(side) for recipe in dict.fromkeys(ANSWERS.values()) if recipe in wanted]


def _sipp(side: Side) -> Recipe:
    argv = (
        *SIPP,
        *_ports(MOST_STREAMS),
        *("-sf", f"{SCENARIOS / 'callee.xml'}", "-i", side.answers_at, "-p", f"{SIP_PORT}"),
    )
    return Recipe(f"{side.answers_name}-sip", side.answers, argv, udp=(SIP_PORT,))


def _trunk(side: Side) -> Recipe:
    argv = (*PYTHON, "serve-calls", side.answers_at)
    return Recipe(f"{side.answers_name}-sip-tcp", side.answers, argv, tcp=(SIP_PORT,))


def _nginx(side: Side) -> Recipe:
    folder = side.folder.absolute() / f"{side.answers_name}-nginx"
    (folder / "files").mkdir(parents=True, exist_ok=True)
    for size in FILES_KIB:
        (folder / "files" / f"{size}k").write_bytes(bytes(size * 1024))
    settings = NGINX.format(folder=folder, address=side.answers_at, port=HTTP_PORT)
    (folder / "nginx.conf").write_text(settings)
    argv = ("nginx", "-p", f"{folder}", "-c", f"{folder / 'nginx.conf'}", "-e", "stderr")
    return Recipe(f"{side.answers_name}-nginx", side.answers, argv, tcp=(HTTP_PORT,))


def _plain_server(side: Side) -> Recipe:
    argv = (*PYTHON, "serve", side.answers_at)
    name = f"{side.answers_name}-serve"
    return Recipe(name, side.answers, argv, udp=(LOOKUP_PORT,), tcp=(BULK_PORT,))


ANSWERS: dict[Traffic, Callable[[Side], Recipe]] = {
    Traffic.CALL: _sipp,
    Traffic.CALL_TCP: _trunk,
    Traffic.QUICK_CALL: _sipp,
    Traffic.REGISTER: _sipp,
    Traffic.OPTIONS: _sipp,
    Traffic.HTTP: _nginx,
    Traffic.BULK: _plain_server,
    Traffic.LOOKUP: _plain_server,
}


def client(place: int, stream: Stream, side: Side, seed: int) -> Recipe:
    """Give what offers the stream that is at this place of a load."""
    name = f"{side.asks_name}-{stream.traffic}-{place}"
    control, port = _control(place), 6100 + place
    if stream.traffic in OFFERS:
        told = (OFFERS[stream.traffic], side.answers_at, "--control", f"{control}")
        own = (*PYTHON, *told, "--seed", f"{seed}")
        return Recipe(name, side.asks, own, control=control)
    argv = (
        *SIPP,
        *_ports(place),
        *("-sf", f"{SCENARIOS / stream.traffic}.xml", f"{side.answers_at}:{SIP_PORT}"),
        *("-i", side.asks_at, "-p", f"{port}", "-r", "0.001", "-l", f"{MOST_CALLS}"),
    )
    return Recipe(name, side.asks, argv, udp=(port,), control=control)


def _ports(place: int) -> tuple[str, ...]:
    """Give a SIPp ports of its own for control and media; it takes both before it starts."""
    return ("-cp", f"{_control(place)}", "-mp", f"{20_000 + 100 * place}")


def _control(place: int) -> int:
    return 8000 + 100 * place  # SIPp takes the next of sixty if one is taken
