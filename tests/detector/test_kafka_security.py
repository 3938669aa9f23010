"""The daemon at a broker with locked doors: it gets in, or says why not; and tells no secret."""

import base64
import re
import time

import pytest

from tests.broker.secured import PASSWORD, USER
from tests.daemon import Producer, Reader, wait_for
from tests.detector.secure import (
    CHANGED,
    REFUSED,
    as_environ,
    daemon,
    judged,
    make_window,
    run,
)

FORMS = {
    "TLS": lambda login: login.tls,
    "MUTUAL": lambda login: login.mutual(),
    "LOGIN": lambda login: login.user("PLAIN"),
    "SCRAM": lambda login: login.user("SCRAM-SHA-512"),
    "CLEAR": lambda login: login.clear,
}


@pytest.mark.parametrize("listener", FORMS)
def test_windows_are_judged_and_verdicts_written(secured, login, bundle_path, spec, listener):
    """Each form of security that a broker may ask for, by all clients of the daemon."""
    settings = FORMS[listener](login)

    with daemon(bundle_path, secured.at(listener), login.topics, settings) as running:
        running.ready()
        judged(secured, login.topics, spec, running)
        assert running.metric(REFUSED) == 0
        assert running.terminate() == 0

    assert len(Reader(secured.direct, f"{login.topics.name}.verdicts").verdicts()) == 1
    assert ("the password travels in the clear" in running.log()) == (listener == "CLEAR")


REFUSALS = {
    "wrong password": (
        *("SCRAM", lambda login: login.user(password="wrong")),
        r"refuses user 'anchorwatch' \(SCRAM-SHA-512\): wrong name or password",
    ),
    "wrong password in the clear": (
        *("LOGIN", lambda login: login.user("PLAIN", password="wrong")),
        r"refuses user 'anchorwatch' \(PLAIN\): wrong name or password",
    ),
    "unknown user": (
        *("SCRAM", lambda login: login.user(name="nobody, really")),
        r"refuses user 'nobody, really' \(SCRAM-SHA-512\): wrong name or password",
    ),
    "unsupported mechanism": (
        *("SCRAM", lambda login: login.user("PLAIN")),
        r"refuses user 'anchorwatch' \(PLAIN\): it does not offer PLAIN",
    ),
    "no login wanted": (
        *("TLS", lambda login: login.user()),
        r"wants no login on this port; unset \[kafka.sasl\] mechanism",
    ),
    "expired certificate of the broker": (
        *("EXPIRED", lambda login: login.tls),
        r"is not trusted: its certificate has expired",
    ),
    "untrusted authority": (
        *("TLS", lambda _login: {"tls.enabled": "true"}),
        r"is not trusted: its certificate is signed by nobody known to this system",
    ),
    "wrong host": (
        *("localhost", lambda login: login.tls),
        r"is not trusted: its certificate is not for localhost",
    ),
    "no certificate of ours": (
        *("MUTUAL", lambda login: login.tls),
        r"wants a certificate of ours; set \[kafka.tls\] certificate and key",
    ),
    "expired certificate of ours": (
        *("MUTUAL", lambda login: login.mutual(is_expired=True)),
        r"does not accept our certificate \S+: expired, or signed by nobody it knows",
    ),
    "no encryption": (
        *("TLS", lambda _login: {}),
        r"speaks TLS on this port; set \[kafka.tls\] enabled = true",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_daemon_that_never_gets_in_says_why_once_and_ends_with_78(
    secured, login, bundle_path, case
):
    """The client itself would try six times a second for ever, and say that it "timed out"."""
    listener, settings, words = REFUSALS[case]
    host = "localhost" if listener == "localhost" else "127.0.0.1"
    at = secured.at("TLS" if listener == "localhost" else listener, host)
    settings = settings(login) | {"refused_seconds": 0.5}

    with daemon(bundle_path, at, login.topics, settings) as running:
        assert running.ended() == 78

    said = running.log().splitlines()
    assert re.fullmatch(rf"anchorwatchd: broker {at} {words}.* \(for 0.5 s\)", said[-1])
    assert [line for line in said if " error " in line] == [
        line for line in said if "broker refuses us" in line and re.search(words, line)
    ]
    assert sum("broker refuses us" in line for line in said) == 1
    assert "Traceback" not in running.log()


class Attempts:
    """How often somebody connected, as it was seen from time to time."""

    def __init__(self, proxy):
        self._proxy, self._before = proxy, proxy.taken
        self._seen = []  # when, monotonic seconds, and how many until then
        self.look()

    def look(self):
        """Say how many there were so far."""
        count = self._proxy.taken - self._before
        self._seen.append((time.monotonic(), count))
        return count

    def pause(self, after):
        """Say how long, at most, it was from attempt *after* to the next, however seldom seen."""
        not_yet = max(when for when, count in self._seen if count < after)
        over = min(when for when, count in self._seen if count > after)
        return over - not_yet


def test_while_it_is_refused_the_loop_goes_on_and_the_pauses_grow(secured, login, bundle_path):
    """Accounts get locked by many wrong logins, and the health check must not kill what waits."""
    settings = login.user(password="wrong")
    attempts = Attempts(secured.proxy)

    with daemon(bundle_path, secured.at("LOGIN"), login.topics, settings) as running:
        wait_for("refused", lambda: attempts.look() and running.metric(REFUSED) == 1)
        begun = time.monotonic()
        while attempts.look() < 4:  # at 0, 1, 3 and 7 seconds
            assert time.monotonic() - begun < 60
            assert running.get("/healthz")[0] == 200
            status, why = running.get("/readyz")
            assert (status, "wrong name or password" in why) == (503, True)
            time.sleep(0.05)
        assert running.metric("anchorwatch_ready") == 0
        assert running.terminate(5) == 0

    # A little less than 1, 2 and 4: it may take a moment until a connection is counted.
    assert all(attempts.pause(number) > 0.8 * 2 ** (number - 1) for number in (1, 2, 3))
    assert len(running.log().splitlines()) < 8


def test_a_renewed_password_is_taken_up_however_long_it_takes(secured, login, bundle_path, spec):
    """Passwords are renewed at night; a daemon that had worked is there in the morning."""
    settings = login.user() | {"refused_seconds": 0.1}
    try:
        with daemon(bundle_path, secured.at("LOGIN"), login.topics, settings) as running:
            running.ready()
            judged(secured, login.topics, spec, running)
            secured.set_password(USER, CHANGED)
            secured.proxy.cut()
            secured.proxy.resume()
            wait_for("refused", lambda: running.metric(REFUSED) == 1)
            status, why = running.get("/readyz")
            with Producer(secured.direct, login.topics.windows, spec) as producer:
                producer.send([make_window(spec, 7)])

            login.write(CHANGED)
            wait_for("back", lambda: running.get("/readyz")[0] == 200)
            wait_for("both", lambda: running.metric("anchorwatch_windows_total") == 2)
            judged(secured, login.topics, spec, running)
            assert running.metric(REFUSED) == 0
            # A refusal is no reason to step over a record.
            assert running.metric("anchorwatch_rejected_total") == 0
            assert running.terminate() == 0
    finally:
        secured.set_password(USER, PASSWORD)

    assert (status, "wrong name or password" in why) == (503, True)
    assert "broker lets us in again" in running.log()
    assert len(Reader(secured.direct, f"{login.topics.name}.verdicts").ids()) == 3


def test_a_renewed_certificate_is_taken_up_and_check_tells_of_an_expired_one(
    secured, login, bundle_path, spec
):
    """Whoever starts the daemon by hand hears of it before; whoever renews need not restart."""
    settings = login.mutual(is_expired=True)
    environ = (
        as_environ(settings) | login.topics.settings | {"ANCHORWATCH__BUNDLE": str(bundle_path)}
    )

    with daemon(bundle_path, secured.at("MUTUAL"), login.topics, settings) as running:
        wait_for("refused", lambda: running.metric(REFUSED) == 1)
        checked = run("anchorwatchd", "--check", **environ)
        good = login.mutual()
        for name in ("tls.key", "tls.certificate"):
            settings[name].write_bytes(good[name].read_bytes())
        running.ready()
        judged(secured, login.topics, spec, running)

    assert checked.returncode == 78
    assert "[kafka.tls] certificate: " in checked.stderr
    assert " expired on 20" in checked.stderr


def test_no_secret_is_written_or_sent_anywhere(secured, login, bundle_path, spec, tmp_path):
    """Logs go to whole teams, and metrics and dead letters to more."""
    locked = "Key-Marker-8842"
    (tmp_path / "key-password").write_text(locked)
    settings = login.user("PLAIN") | login.mutual(password=locked)
    settings |= {"tls.key_password_file": tmp_path / "key-password"}
    given = settings | {"sasl.password": PASSWORD}
    del given["sasl.password_file"]
    environ = as_environ(given) | {"ANCHORWATCH__BUNDLE": str(bundle_path)}
    debug = {"log__level": "debug"}
    said = []

    with daemon(bundle_path, secured.at("LOGIN"), login.topics, settings, **debug) as running:
        running.ready()
        with Producer(secured.direct, login.topics.windows, spec) as producer:
            producer.send([make_window(spec)])
            producer.send_raw(b"no window")
        wait_for("rejected", lambda: running.metric("anchorwatch_rejected_total") == 1)
        said += [running.get(path)[1] for path in ("/", "/status", "/space", "/metrics")]
        secured.proxy.cut()
        wait_for("away", lambda: running.get("/healthz")[0] == 200)
        secured.proxy.resume()
        assert running.terminate() == 0
    with daemon(bundle_path, secured.at("TLS"), login.topics, given, **debug) as refused:
        wait_for("refused", lambda: refused.metric(REFUSED) == 1)
        said += [refused.get(path)[1] for path in ("/readyz", "/status")]
    checked = run("anchorwatchd", "--check", **environ)

    said += [running.log(), refused.log(), checked.stdout, checked.stderr]
    for last in ("verdicts", "events", "states", "sightings", "dead"):
        for record in Reader(secured.direct, f"{login.topics.name}.{last}").records():
            said += [repr((record.key, record.value, record.headers))]
    assert checked.returncode == 0, checked.stderr
    assert "reason" in said[-1]  # the dead letter was looked at
    everything = "\n".join(said)
    for secret in (PASSWORD, locked):
        assert secret not in everything
        assert base64.b64encode(secret.encode()).decode() not in everything
