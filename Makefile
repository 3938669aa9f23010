# The two commands of the README, and what they need. Nothing is installed outside .venv and build.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CAPTURES := training/captures training/recordings
# What is recorded as lossy stays unknown.
LABELS := --labels normal --labels blocked --labels capacity-limited

.PHONY: demo test acceptance record release generate format lock clean

# Trains on all runs but the five in which faults come and go, then watches those five, and the
# runs that it learnt from beside them, with the real daemon.
demo: $(VENV)/installed
	$(BIN)/anchorwatch train $(CAPTURES) $(LABELS) --leave-out 'd0[1-5]_*' \
		--out build/demo-bundle --replace
	$(BIN)/anchorwatchd --config deploy/demo.toml

# Everything that CI checks.
test: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest

# The whole product on real traffic: lab, probe, Kafka, daemon, Prometheus. Needs root; 12 minutes.
acceptance: $(VENV)/installed
	ANCHORWATCH_ACCEPTANCE=long $(BIN)/pytest -s tests/acceptance

# Records anew what ships in training/recordings/lab-1. Needs root; 90 minutes on two cores.
record: $(VENV)/installed
	$(BIN)/anchorwatch lab record training/recordings/lab-1/plan.toml --out build/lab-1

# Wheel, source, what it is made of, and sums, into dist/: docs/releases.md.
release: $(VENV)/installed
	deploy/release.sh dist

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "anchorwatch needs Python 3.11 to 3.13; say which: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# Pins every package with its hashes; names no package host. Needs uv. The others are what is
# installed where only some of it is needed, in the same versions.
PIN := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet
lock:
	$(PIN) pyproject.toml --extra train --extra dev --output-file requirements.lock
	$(PIN) pyproject.toml -c requirements.lock --output-file requirements-daemon.lock
	$(PIN) pyproject.toml --extra train -c requirements.lock --output-file requirements-train.lock
	$(PIN) pyproject.toml --extra gpu -c requirements.lock --output-file requirements-gpu.lock
	printf 'hatchling\n' | $(PIN) - -c requirements.lock --output-file requirements-build.lock

# What is made from the code: the reference of all settings, of the features, and the dashboards.
generate: $(VENV)/installed
	$(BIN)/python -m detector.defaults docs/settings.md deploy/anchorwatch.toml
	$(BIN)/python -m detector.probe.features docs/features.md
	$(BIN)/python deploy/grafana/generate.py

clean:
	rm -rf $(VENV) build
