# Every daily act has one door; `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup app test check format audit docs bench torture backends e2e walk lock clean

help:
	@echo "make setup   the environment, into .venv; every other one calls it"
	@echo "make app     build the sample area, train three models on it, serve the dashboard"
	@echo "make test    the daily tests; slow ones are in make torture and make e2e"
	@echo "make check   format, lint, types, import floors"
	@echo "make format  format the code"
	@echo "make docs    the documentation, strictly, into site/ (open site/index.html; with search: python3 -m http.server -d site)"
	@echo "make audit   bandit over the sources, pip-audit over the lock where its database answers"
	@echo "make bench   times beside those of peers, in one table kept in benchmarks/RESULTS.md"
	@echo "make torture kills, faults, load, longer notebooks, every kind of run done twice: slower tests"
	@echo "make backends  the tests of networks on JAX and PyTorch, each in an environment of its own"
	@echo "make e2e     whole stories in the dashboard, in a real browser (Debian's chromium)"
	@echo "make walk    the short one: every page opened and used once"
	@echo "make lock    renew requirements.lock"

setup: $(READY)

$(READY): requirements.lock pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $(READY)

app: setup
	$(BIN)/lsm demo

# A file stays with one worker, so that what it trains once is trained once. Each worker has one core.
WORKERS ?= 2
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

# The load has the machine to itself: its figures are times.
LOAD := tests/test_load.py
torture: setup
	$(BIN)/python -m pytest -m torture $(LOAD)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m torture --ignore $(LOAD) --numprocesses $(WORKERS) --dist loadfile

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict # warnings that are not shown do not count

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What looks for weak spots has an environment of its own: its parts are not the program's.
audit:
	test -d .audit || $(PYTHON) -m venv .audit
	.audit/bin/python -m pip install --quiet "bandit[toml]" pip-audit
	.audit/bin/bandit --quiet --configfile pyproject.toml --recursive lsm_core app
	.audit/bin/pip-audit --no-deps --disable-pip --requirement requirements.lock || \
	  echo "pip-audit found something, or its database cannot be reached: see above"

bench: setup
	$(BIN)/python -m benchmarks.run

# Keras runs on other libraries than TensorFlow too. All else is taken from $(VENV).
BACKENDS ?= jax torch
JAX ?= jax
TORCH ?= torch==2.13.0
OF_NETWORKS := $(addprefix tests/test_,every_model.py training.py dropout.py attribution.py adversarial.py cnn3d.py dense.py dense_fourier.py squeezed.py)

backends: $(BACKENDS:%=backend-%)

backend-%: .backends/%/.ready
	KERAS_BACKEND=$* .backends/$*/bin/python -m pytest -m '' $(OF_NETWORKS)

# Kept between two calls of make.
.PRECIOUS: .backends/%/.ready
.backends/jax/.ready: PACKAGE = $(JAX)
.backends/torch/.ready: PACKAGE = $(TORCH)
.backends/%/.ready: $(READY)
	$(PYTHON) -m venv .backends/$*
	$(BIN)/python -c "import sysconfig; print('import site; site.addsitedir(%r)' % \
	  sysconfig.get_path('purelib'))" > $$(ls -d .backends/$*/lib/python3*/site-packages)/rest.pth
	.backends/$*/bin/python -m pip install --quiet "$(PACKAGE)"
	touch $@

e2e: WALKS = $(wildcard tests/test_walk*.py)
walk: WALKS = tests/test_walk.py
e2e walk: setup
	command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium)
	LSM_WALK=1 $(BIN)/python -m pytest $(WALKS)

# The lock holds names and versions only. TensorFlow is the processor's build.
lock:
	rm -rf .lock-venv
	$(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet -e ".[cpu,notebooks,docs,dev]"
	.lock-venv/bin/python -m pip freeze --exclude-editable > requirements.lock
	rm -rf .lock-venv

clean:
	rm -rf .backends site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
