"""What the parts of the daemon say of themselves in numbers, as Prometheus gets to see it."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from detector.config import Kafka, Settings, Store
from detector.drift.telling import figures as drift_figures
from detector.enrolments import AllEnrolments
from detector.figures import Figure
from detector.kafka_client import Access
from detector.metrics import Metrics
from detector.oncall.opening import open_model, open_sight
from detector.reload import Reloads
from detector.space.space import Space
from detector.store import CaptureStore

GOLDEN = Path(__file__).parent / "golden" / "figures.txt"


def every_figure(bundle_path: Path, folder: Path) -> list[Figure]:
    """Give the figures of all parts that have some."""
    settings = Settings(bundle=str(bundle_path))
    model = open_model(settings)
    store = CaptureStore(Store(), model.spec, folder)
    found = [
        *Reloads(settings, model, AllEnrolments([])).figures(),
        *store.figures(),
        *drift_figures(),
        *Access(Kafka()).figures(),
        *Space(open_sight(settings, model), 10).figures(),
    ]
    store.close()
    return found


def test_the_figures_are_as_they_were(bundle_path, tmp_path):
    """Dashboards and alert rules are built on these names.

    Where this fails and the change is meant, put the new text into golden/figures.txt, and the
    change into the changelog.
    """
    figures = every_figure(bundle_path, tmp_path)

    text = "".join(
        f"anchorwatch_{one.name}{'_total' if one.kind == 'counter' else ''} {one.kind} "
        f"{','.join(one.labels) or '-'} {one.meaning}\n"
        for one in sorted(figures)
    )
    assert text == GOLDEN.read_text()


def test_prometheus_reads_all_of_them(bundle_path, tmp_path):
    """One figure with a wrong name or label would cost the whole page."""
    figures = every_figure(bundle_path, tmp_path)
    metrics = Metrics(("normal",), 10)
    metrics.watch(lambda: figures)

    families = {one.name: one for one in text_string_to_metric_families(metrics.text().decode())}

    for one in figures:
        family = families[f"anchorwatch_{one.name}"]
        assert (family.type, family.documentation) == (one.kind, one.meaning)
        assert [sample.value for sample in family.samples] == [*map(float, one.values.values())]


def test_a_figure_without_labels_is_there_from_the_start(bundle_path, tmp_path):
    """An alert on what is absent never fires."""
    for one in every_figure(bundle_path, tmp_path):
        if not one.labels:
            assert [*one.values] == [()], one.name
