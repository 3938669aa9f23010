# The two commands of the README, and what they need. Nothing is installed outside .venv and build.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CAPTURES := training/captures training/recordings
# What is recorded as lossy stays unknown.
LABELS := --labels normal --labels blocked --labels capacity-limited

.PHONY: demo test acceptance record release format lock clean

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

# Pins every package with its hashes; names no package host. Needs uv.
lock:
	uv pip compile pyproject.toml --extra train --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-header --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) build
