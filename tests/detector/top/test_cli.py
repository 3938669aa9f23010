"""`anchorwatch top` as a process, in front of a server like the daemon's and in a terminal."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import msgspec
import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from detector.config import Http
from detector.top.cli import top
from tests.detector.top.made import bad_night, make_link, make_status
from tests.detector.top.servers import daemon, free_port, http, stranger

PROGRAM = [sys.executable, "-c", "from detector.top.cli import top; top(prog_name='top')"]
HEAVY = {"kafka", "keras", "numpy", "onnxruntime", "pandas", "rich", "tensorflow"}
LISTING = f"""
import sys
from detector.top.cli import top
try:
    top(sys.argv[1:], prog_name="top")
finally:
    print(sorted({HEAVY!r} & {{*sys.modules}}), file=sys.stderr)
"""
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PATIENCE_SECONDS = 30.0  # a wait longer than this is a failure, not a slow machine


def environ(**changes):
    """Give an ordinary environment, whatever the tests run in."""
    odd = {"NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES"}
    kept = {name: text for name, text in os.environ.items() if name not in odd}
    return kept | {"TERM": "xterm-256color", "PYTHONUTF8": "1"} | changes


def run(*arguments, program=PROGRAM, **changes):
    """Run the command to its end, without a terminal."""
    return subprocess.run(
        [*program, *arguments],
        env=environ(**changes),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def failure(done, code=1):
    """Give the one line with which it failed."""
    assert (done.returncode, done.stdout) == (code, "")
    (line,) = done.stderr.splitlines()
    return line


class Terminal:
    """The command in a terminal of its own, as somebody sees it."""

    def __init__(self, *arguments, width=100, height=30, **changes):
        self._size = struct.pack("HHHH", height, width, 0, 0)
        self._command, self._environ = [*PROGRAM, *arguments], environ(**changes)
        self.written = ""

    def __enter__(self):
        self._outer, self._inner = pty.openpty()
        fcntl.ioctl(self._inner, termios.TIOCSWINSZ, self._size)
        self._process = None
        return self

    def start(self):
        """Start the command."""
        ends = {"stdin": self._inner, "stdout": self._inner, "stderr": self._inner}
        # A shell has what runs in its background ignore interrupts, and children inherit that; in
        # a terminal nobody does.
        ours = signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            self._process = subprocess.Popen(self._command, env=self._environ, **ends)
        finally:
            signal.signal(signal.SIGINT, ours)

    def __exit__(self, *_error):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        os.close(self._inner)
        os.close(self._outer)

    def wait_for(self, words):
        """Read until something new is shown."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        start = len(self.written)
        while words not in CODES.sub("", self.written[start:]):
            assert time.monotonic() < deadline, self.written
            self._read()

    def tell(self, number):
        """Send a signal."""
        self._process.send_signal(number)

    def ended(self):
        """Wait for the end, and give the exit code."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._process.poll() is None:
            assert time.monotonic() < deadline, self.written
            self._read()
        while self._read():
            pass
        return self._process.returncode

    def _read(self):
        """Take what was written, after waiting a moment for it."""
        is_there = bool(select.select([self._outer], [], [], 0.05)[0])
        if is_there:
            self.written += os.read(self._outer, 65536).decode(errors="replace")
        return is_there


def test_help_answers_at_once():
    """Who asks how to call it waits for no library."""
    done = run("--help", program=[sys.executable, "-c", LISTING])

    assert done.returncode == 0
    assert done.stdout.startswith("Usage: top")
    assert done.stderr == "[]\n"


def test_it_is_a_command_of_the_tool():
    """Who types `anchorwatch` finds it."""
    from training.cli import main  # the bench needs more than the view does

    assert main.commands["top"] is top


def test_help_tells_every_option():
    """An option without a word of help is found by nobody; the default is the daemon's own."""
    shown = " ".join(CliRunner().invoke(top, ["--help"]).stdout.split())

    for option in top.params:
        assert option.opts[-1] in shown
        assert option.help
    assert [option.default for option in top.params if option.name == "url"] == [
        f"http://{Http().host}:{Http().port}"
    ]


def test_the_view_loads_nothing_that_judges():
    """It is opened on a machine in trouble, and leaves the memory to others."""
    heavy = HEAVY - {"rich", "numpy"}
    with daemon(make_status()) as (_, server):
        listing = LISTING.replace(repr(HEAVY), repr(heavy))
        done = run("--once", "--url", server.url, program=[sys.executable, "-c", listing])

    assert done.returncode == 0
    assert done.stderr == "[]\n"


def test_once_prints_one_picture_and_ends():
    """For a ticket, a script, or a look through ssh."""
    with daemon(bad_night()) as (_, server):
        done = run("--once", "--url", server.url)

    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0].startswith("2026-07-14 03:33:20 UTC   bundle 9f2c1e5a77b0 (onnxruntime)")
    assert "\x1b" not in done.stdout
    assert len([line for line in lines if line.startswith("site-")]) == 47  # all that there are
    assert max(cell_len(line) for line in lines) <= 140


def test_without_a_terminal_one_picture_is_all():
    """`anchorwatch top | grep` ends, and so does a unit that starts it by mistake."""
    with daemon(bad_night()) as (_, server):
        done = run("--url", server.url, COLUMNS="200")

    assert done.returncode == 0
    assert done.stdout.count("2026-07-14") == 1
    assert "like d03_peer-dead/access (peer-dead), 0.08 away" in done.stdout  # 200 columns wide


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--state", "blocked"], ["site-12/trunk-7"]),
        (["--state", "blocked", "--state", "unknown"], ["site-12/trunk-7", "site-44/sip"]),
        (["--links", "site-4*", "--links", "site-12/*"], ["site-12/trunk-7", "site-44/sip"]),
        (["--links", "site-4*", "--state", "blocked"], []),
    ],
)
@pytest.mark.parametrize("form", ["--once", "--json"])
def test_links_are_chosen_by_state_and_name(options, names, form):
    """Each option narrows what is shown, and given again widens it."""
    with daemon(bad_night()) as (_, server):
        done = run(form, "--url", server.url, *options)

    assert done.returncode == 0
    if form == "--json":
        assert [link["link"] for link in json.loads(done.stdout)["worst"]] == names
    else:
        found = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("site-")]
        assert found == names


def test_a_misspelt_state_is_said_in_every_form():
    """A script that reads the document finds no link in it, and its author finds out why."""
    why = "there is no state 'bloked', perhaps 'blocked'"
    with daemon(make_status(labels=("normal", "blocked"))) as (_, server):
        picture = run("--once", "--url", server.url, "--state", "bloked")
        document = run("--json", "--url", server.url, "--state", "bloked")

    assert f"no link matches: {why}" in picture.stdout
    assert (picture.returncode, picture.stderr) == (0, "")
    assert json.loads(document.stdout)["worst"] == []
    assert (document.returncode, document.stderr) == (0, f"anchorwatch: {why}\n")


def test_json_is_the_document_itself():
    """A script gets what the daemon says, fields of a later version included."""
    body = json.dumps(msgspec.to_builtins(bad_night()) | {"mood": "new"})
    with stranger(http(body.encode())) as url:
        done = run("--json", "--url", url)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == body + "\n"


def test_a_thousand_links_are_listed_where_no_terminal_bounds_them():
    """A script, or `grep`, may go through more than a person would."""
    links = [make_link(f"trunk-{n}") for n in range(3000)]
    with daemon(make_status(worst=links)) as (_, server):
        document = run("--json", "--url", server.url).stdout
        picture = run("--once", "--url", server.url).stdout

    assert len(json.loads(document)["worst"]) == 1000
    assert picture.count("\ntrunk-") == 1000
    assert "and 2,000 more, all normal" in picture


@pytest.mark.parametrize("form", [[], ["--once"], ["--json"]])
def test_a_daemon_that_is_not_there_is_one_line_and_code_1(form):
    """Before any picture is drawn."""
    url = f"http://127.0.0.1:{free_port()}"

    line = failure(run("--url", url, *form))

    assert line == f"anchorwatch: no daemon answers at {url}: connection refused"


@pytest.mark.parametrize("form", ["--once", "--json"])
def test_what_is_no_daemon_is_one_line_and_code_1(form):
    """Also where something answers, and where it answers badly."""
    with stranger(http(b"<html>")) as url:
        assert "is not the status of a daemon: JSON is malformed" in failure(
            run(form, "--url", url)
        )
    with stranger(http(b"", "500 Oops")) as url:
        line = failure(run(form, "--url", url))
        assert line == f"anchorwatch: {url}/status says 500 Internal Server Error"
    with stranger(b"", hangs=True) as url:
        assert failure(run(form, "--url", url)).endswith(f"{url}: no answer within 3 s")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--url", "ftp://host"], "'ftp://host': it is not http://HOST:PORT"),
        (["--url", "host:99999"], "'host:99999': Port out of range 0-65535"),
        (["--every", "0"], "--every"),
        (["--every", "soon"], "--every"),
        (["somewhere"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_said_and_ends_with_2(options, why):
    """Trying again doesn't help, and a script can tell."""
    done = run(*options)

    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr


def test_names_with_letters_that_the_encoding_lacks_do_not_end_it():
    """The network chooses names and the engineer the terminal."""
    with daemon(make_status(worst=[make_link("λ-東京", "blocked")])) as (_, server):
        done = run("--once", "--url", server.url, PYTHONUTF8="0", PYTHONIOENCODING="ascii")

    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u03bb-\\u6771\\u4eac" in done.stdout


def test_a_live_view_follows_the_daemon_until_interrupted():
    """It shows what is new, says when nothing is, goes on after, and leaves a clean terminal."""
    port = free_port()
    first, second = (make_link("trunk-7", state, 20) for state in ("blocked", "silent"))
    with Terminal("--url", f"127.0.0.1:{port}", "--every", "0.1") as terminal:
        with daemon(make_status(worst=[first]), port) as (board, _):
            terminal.start()
            terminal.wait_for("trunk-7 probe-1 blocked    20 s")
            board.publish(make_status(worst=[second]))
            terminal.wait_for("trunk-7 probe-1 silent    20 s")
        terminal.wait_for("NO ANSWER for 0 s, all below is older")
        terminal.wait_for("NO ANSWER for 1 s, all below is older")
        with daemon(make_status(version="9.9"), port):
            terminal.wait_for("v9.9")
            terminal.tell(signal.SIGINT)

            assert terminal.ended() == 0

    shown, left, last = terminal.written.partition("\x1b[?1049l")
    assert left
    assert shown.count("\x1b[?1049h") == 1
    assert last.count("v9.9") == 1  # the last picture stays
    assert "\x1b[?25h" in terminal.written  # and the cursor is back
    assert "Traceback" not in terminal.written


def test_a_live_view_gives_the_terminal_back_when_told_to_end():
    """A supervisor, or a closing session, sends SIGTERM; the shell must be usable after."""
    with daemon(make_status()) as (_, server), Terminal("--url", server.url) as terminal:
        terminal.start()
        terminal.wait_for("no links yet")
        terminal.tell(signal.SIGTERM)

        assert terminal.ended() == 0
    assert "\x1b[?1049l" in terminal.written
    assert "\x1b[?25h" in terminal.written


def test_a_live_view_without_a_daemon_never_takes_the_terminal():
    """The error is alone, where one looks for it."""
    with Terminal("--url", f"127.0.0.1:{free_port()}") as terminal:
        terminal.start()

        assert terminal.ended() == 1
    assert terminal.written.count("\n") == 1
    assert "connection refused" in terminal.written
    assert "\x1b" not in terminal.written


def test_once_in_a_terminal_shows_what_fits():
    """The head of the picture isn't scrolled away."""
    with (
        daemon(bad_night()) as (_, server),
        Terminal("--once", "--url", server.url, width=80, height=24) as terminal,
    ):
        terminal.start()

        assert terminal.ended() == 0
    lines = CODES.sub("", terminal.written).splitlines()
    assert len(lines) == 23  # and one for the prompt
    assert lines[0].startswith("2026-07-14")
    assert "\x1b[1;31m" in terminal.written  # in colours
    assert "\x1b[?1049h" not in terminal.written


def test_a_terminal_that_can_not_redraw_gets_one_picture():
    """Editors and build logs call themselves dumb; control codes would fill them with rubbish."""
    with (
        daemon(bad_night()) as (_, server),
        Terminal("--url", server.url, TERM="dumb") as terminal,
    ):
        terminal.start()

        assert terminal.ended() == 0
    assert terminal.written.count("2026-07-14") == 1
    assert "\x1b" not in terminal.written
