"""Settings: one frozen tree, strict about names; `loading` reads them.

What belongs to the machine is here; what belongs to the model is in the bundle.
A setting's default is written once, in its class, and what it means in the comment above or
beside it: `defaults` makes the settings file and docs/settings.md of these.
"""

from typing import Annotated, Literal

import msgspec

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
# The upper bounds refuse `inf`, which has no number of milliseconds.
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Above0 = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Timeout = Annotated[float, msgspec.Meta(ge=1, le=86_400)]  # seconds


class ConfigError(ValueError):
    """The settings can't be used; the message says which one and why."""


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the connection to the broker is encrypted: docs/security.md."""

    enabled: bool = False  # false: all is sent in the clear, passwords too
    ca: str = ""  # file (PEM) of the authorities that are trusted; "" = the system's
    certificate: str = ""  # file (PEM) that shows the broker who we are, where it asks for one
    key: str = ""  # file (PEM) of the certificate's key; "" = it is in the certificate's file
    key_password_file: str = ""  # where the key is encrypted; found as `password_file` is
    check_hostname: bool = True  # whether the broker's certificate must name the host asked for


class Sasl(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """As whom the daemon logs in at the broker: docs/security.md."""

    mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = ""  # "" = without a login
    username: str = ""  # which the broker knows
    password: str = ""  # discouraged: whoever reads the settings reads it; say a file instead
    password_file: str = ""  # a relative name is looked for in $CREDENTIALS_DIRECTORY if it is set

    def __repr__(self) -> str:
        """Show everything but the password: settings end up in logs and tracebacks."""
        shown = {name: getattr(self, name) for name in self.__struct_fields__}
        shown["password"] = "***" if self.password else ""
        return f"Sasl({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class Kafka(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where windows come from and verdicts go to."""

    bootstrap: str = "127.0.0.1:9092"  # host:port, several with commas
    group: str = "anchorwatch"  # daemons that share it share the links
    windows: str = "anchorwatch.windows"  # topic read
    verdicts: str = "anchorwatch.verdicts"  # topic written
    # "one": a message a verdict, keyed by link; "many": a record with a list of windows is
    # answered by one with a list of verdicts, under its own key, much faster for long lists
    verdicts_a_message: Literal["one", "many"] = "one"
    events: str = "anchorwatch.events"  # topic written, one message a change of state
    dead_letters: str = "anchorwatch.dead-letters"  # topic written, what could not be used
    states: str = "anchorwatch.states"  # topic of what outlives a restart; made if it isn't there
    # topic by which daemons of a group tell each other whom they hear; made if it isn't there
    sightings: str = "anchorwatch.sightings"
    anchors: str = "anchorwatch.anchors"  # topic of what was enrolled; made if it isn't there
    session_seconds: Timeout = 45.0  # without a sign of a daemon its links go to others
    delivery_seconds: Timeout = 30.0  # then a delivery is tried anew
    refused_seconds: Above0 = 300.0  # then a daemon that the broker never let in ends, with 78
    tls: Tls = Tls()
    sasl: Sasl = Sasl()


class Captures(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which captures are replayed, and how, when `source = "captures"`."""

    paths: tuple[str, ...] = ()  # files or folders; none = the capture that ships
    links: tuple[str, ...] = ("*",)  # patterns of the links to take
    hop_seconds: Above0 = 1.0  # from one window of a link to its next
    speed: Above0 = 1.0  # times life


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many windows are embedded at once."""

    windows: Positive = 1024  # a batch is done when it has as many
    wait_seconds: Seconds = 0.01  # or when its first record has waited as long


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a link's state changes: once enough evidence for another label has come together.

    What each does to false alarms and to the seconds until a fault is noticed: docs/judging.md.
    """

    evidence: Above0 = 1.0  # more: later and surer; a clear fault gives a third of it a second
    doubt: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.1  # more: what is vague never counts
    hold_seconds: Seconds = 3.0  # a state lasts at least as long
    recovery_seconds: Seconds = 35.0  # so long after a fault, what was held back comes at once
    # times the evidence, for a new fault in that time
    recovery_evidence: Annotated[float, msgspec.Meta(ge=1, le=100)] = 2.0
    # so many changes of state within `flap_seconds`, and the link is flapping
    flap_changes: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 10
    flap_seconds: Above0 = 300.0  # in which `flap_changes` are too many
    flap_calm_seconds: Seconds = 60.0  # that it must be without any fault to be normal again
    restart_seconds: Seconds = 60.0  # a step back in a link's time by more is a clock set back


class Unknown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How strange a window has to be to be called unknown."""

    enabled: bool = True  # false: every window has the name of its nearest anchor
    false_alarms_a_link_week: Above0 = 1.0  # times that a link which is well may be called unknown


class Silence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When nothing coming of a link, or of a whole exporter, means something."""

    enabled: bool = True  # false: of some links windows come only while there is traffic
    missed_windows: Above0 = 5.0  # of a link, at its usual pace, before it is silent
    least_seconds: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 10.0  # and at least as long
    # of its busiest hour's traffic: a link that has less when it falls silent, and usually has
    # less at this hour, is excused
    idle_share: Share = 0.05
    contact_seconds: Above0 = 15.0  # without a sign of the broker no silence gets any longer
    retire_seconds: Above0 = 86_400.0  # a link of which nothing came for as long has left


class Events(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How changes of state are told to others."""

    dialect: Literal["plain", "cloudevents", "onap"] = "plain"  # of their JSON: docs/events.md
    # that a change waits for others like it in its group; 0: it is told at once, and alone
    gather_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 3.0
    gather_links: Annotated[int, msgspec.Meta(ge=2)] = 5  # so many that change alike: one event
    group: str = ""  # regular expression that finds a link's group in its name; "" = its exporter


class Reasons(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Why a link's state changed, in the counters' own units."""

    seconds: Seconds = 0.1  # of work on them in a batch, at most; 0 = none are given


class Canary(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The live self-test: copies of live windows with a fault put in, judged apart."""

    every_seconds: Seconds = 10.0  # from one planted fault to the next; 0 = none
    at_once: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 8  # at most


class Store(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is kept of the traffic that was judged, to learn from: docs/learning.md."""

    path: str = ""  # folder; "" = `captures` in $STATE_DIRECTORY where there is one, else none
    normal_share: Share = 0.02  # of the minutes of a link that is normal
    around_seconds: Seconds = 30.0  # that are kept before and after each change of state
    flush_seconds: Above0 = 60.0  # until what is to be kept is in a file
    most_gb: Above0 = 10.0  # 10**9 bytes; beyond it the oldest normal traffic goes first
    days: Above0 = 30.0  # then it goes, whatever it is
    memory_mb: Positive = 256  # for what may be kept yet: rows before a change that may come


class Shadow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a candidate is tried on the live traffic, beside the bundle that judges it."""

    links: Share = 1.0  # share of the links that it is shown; 0 = none
    time_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5  # of a core, at most


class Drift(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When traffic counts as unlike that of the training."""

    hours: Above0 = 24.0  # that a link's and all links' shares are of
    times: Annotated[float, msgspec.Meta(gt=1)] = 2.0  # as often outside as training was: drift


class Reload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How bundles and anchors are exchanged while the daemon runs."""

    look_seconds: Above0 = 0.5  # from one look at the bundle store to the next


class Engine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What embeds."""

    name: Literal["auto", "onnxruntime", "keras"] = "auto"  # auto: keras where there is a GPU
    # that embed with onnxruntime; 0 = one for each core
    threads: Annotated[int, msgspec.Meta(ge=0)] = 0


class Http(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the status page, /metrics, /healthz and /readyz are served."""

    host: str = "127.0.0.1"  # whoever reaches it may read; "::" or "0.0.0.0": every address
    port: Port = 9469  # 0 lets the system choose
    max_links: Positive = 10_000  # links with a series of their own
    # links of which distances and the point in the embedding are shown too, faults first.
    in_depth: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 200
    stalled_seconds: Above0 = 60.0  # /healthz fails when no step was finished for as long


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is written to stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"  # and all that is worse


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings of the daemon."""

    bundle: str  # a bundle, or a bundle store, whose current one is used and followed
    source: Literal["kafka", "captures"] = "kafka"  # where windows come from
    sinks: tuple[Literal["kafka", "terminal"], ...] = ("kafka",)  # where verdicts go to
    kafka: Kafka = Kafka()
    captures: Captures = Captures()
    batch: Batch = Batch()
    state: State = State()
    unknown: Unknown = Unknown()
    silence: Silence = Silence()
    events: Events = Events()
    reasons: Reasons = Reasons()
    canary: Canary = Canary()
    store: Store = Store()
    shadow: Shadow = Shadow()
    drift: Drift = Drift()
    reload: Reload = Reload()
    engine: Engine = Engine()
    http: Http = Http()
    log: Log = Log()

    @property
    def has_broker(self) -> bool:
        """Whether windows come from Kafka or verdicts go there."""
        return "kafka" in (self.source, *self.sinks)
