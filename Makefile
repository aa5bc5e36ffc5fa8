# Every target sets itself up first: `make demo` in a fresh clone is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.requirements.sha256

.PHONY: help setup demo sandbox test chaos chaos-streams chaos-outbound chaos-analytics fuzz-ingress check kafka lock clean

help: ## the targets, one line each
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## everything into .venv; runs again only when the lock or pyproject.toml changed
	@want=$$(cat requirements.lock pyproject.toml | sha256sum | cut -d' ' -f1); \
	if [ "$$(cat $(STAMP) 2>/dev/null)" != "$$want" ]; then \
	  echo "setup: installing the locked dependencies into $(VENV) (about a minute)"; \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "notifystream needs Python 3.11 or later; this is " + sys.version.split()[0] + " (make PYTHON=...)")' && \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . && \
	  echo "$$want" > $(STAMP); \
	fi

demo: setup ## the whole pipeline on embedded servers, with a live display; ends by itself
	$(BIN)/notifystream demo

sandbox: setup ## the same servers and services, staying up until Ctrl-C
	$(BIN)/notifystream sandbox

test: setup ## the tests; those on a real Kafka are skipped, and say so, without Java and Maven
	$(BIN)/python -m pytest -m "not chaos" -n 3 --dist loadfile --no-loadscope-reorder

chaos: setup ## the crash tests on a real Kafka: kill -9 and standstills against the simulator's ledger
	$(BIN)/python -m pytest -m "chaos and not alone" -n 2 --dist load --maxschedchunk 1
	$(BIN)/python -m pytest -m alone

chaos-streams: setup kafka ## 20,000 notifications through kills, a standstill and a rebalance, then the verdict
	$(BIN)/python -m tests.streams.chaos

chaos-outbound: setup kafka ## 20,000 commands through kills, a zombie and the worst provider, then the verdict
	$(BIN)/python -m tests.outbound.chaos

chaos-analytics: setup kafka ## 500,000 events through killed sinks and a killed database, then row by row
	$(BIN)/python -m tests.analytics.chaos

fuzz-ingress: setup ## 100,000 requests nobody should send: no 5xx, no record that was not signed; two minutes
	$(BIN)/python -m tests.fuzz.ingress

check: setup ## ruff and strict mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

kafka: setup ## fetch the real Kafka of the tests with Maven, once; needs Java 17 and Maven
	$(BIN)/python -m tests.kafka fetch

lock: setup ## resolve pyproject.toml again into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --upgrade --quiet -o requirements.lock

clean: ## what the targets made
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .notifystream .kafka
