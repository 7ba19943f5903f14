# Everything below runs from a fresh clone: git, make and Python 3.11 or newer with its venv module are enough.
#   PYTHON=…  the interpreter to build .venv with      SERVE=0    make demo ends after the scores, without the service
#   UPGRADE=1 make lock takes the newest versions      ARGS=…     more for pytest, as in make test ARGS="-k asof"

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check format lock clean

BIN := .venv/bin
READY := .venv/.ready
BEGUN := .venv/.begun
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
OLD_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for each in python3.11 python3; do \
	"$$each" -c '$(OLD_ENOUGH)' 2>/dev/null && echo "$$each" && break; done)

help:  ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS=$$'\t' read -r target what; \
		do printf 'make %-8s %s\n' "$$target" "$$what"; done

demo: $(READY)  ## a small factory made on the spot: check, train, backtest, score, serve until Ctrl-C
	$(BIN)/lotrisk demo $(if $(filter 0,$(SERVE)),--no-serve)

test: $(READY)  ## every test; warnings are errors
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY)  ## formatting, lint, types, and who may import whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## rewrite the code as `make check` wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:  ## write requirements.lock and, for the service alone, requirements-serve.lock from pyproject.toml
	@test -x $(BIN)/uv || $(MAKE) $(READY)
	$(COMPILE) --all-extras --group dev $(if $(UPGRADE),--upgrade) pyproject.toml -o requirements.lock
	$(COMPILE) --extra serve --constraint requirements.lock --no-annotate pyproject.toml -o requirements-serve.lock

clean:  ## remove .venv and all that these commands made
	rm -rf .venv build dist demo *.egg-info .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last. `.begun` outlives an interrupted run, which may leave half a package that pip would
# take for whole: the next run then starts the environment anew.
$(READY): requirements.lock pyproject.toml
	@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c '$(OLD_ENOUGH)' 2>/dev/null; then \
		echo "lot-risk needs Python 3.11 or newer; found $(or $(PYTHON),python3): $$($(or $(PYTHON),python3) -V 2>&1 | tail -n 1)." \
			"Name another: make PYTHON=/path/to/python3.11" >&2; exit 2; fi
	@if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$(PYTHON) has no venv module. On Debian: apt-get install python3-venv" >&2; exit 2; fi
	@if [ -e $(BEGUN) ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		echo "Setting up .venv (a few minutes the first time)"; "$(PYTHON)" -m venv --clear .venv; fi
	@touch $(BEGUN)
	@# The lock names all there is; without --no-deps pip wants a pin of its own for `pandas[parquet]`, which evidently names.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation -e .
	@$(BIN)/python -c "$$PROVIDE_LIBGOMP"
	@rm -f $(BEGUN)
	@touch $(READY)

# LightGBM's wheel wants the system's libgomp.so.1, which a bare Debian lacks. scikit-learn's wheel carries one under
# a name of its own: a copy that answers to the usual name, loaded as Python starts, serves both without root.
define PROVIDE_LIBGOMP
import ctypes, pathlib, sys, sysconfig

try:
    ctypes.CDLL("libgomp.so.1" if sys.platform == "linux" else None)
except OSError:
    packages = pathlib.Path(sysconfig.get_path("platlib"))
    carried = next(packages.glob("scikit_learn.libs/libgomp-*.so*"), None)
    if carried is None:
        sys.exit("LightGBM needs libgomp.so.1, which this machine lacks. On Debian: apt-get install libgomp1")
    name = carried.name.encode() + bytes(1)
    library = packages / "libgomp.so.1"
    library.write_bytes(carried.read_bytes().replace(name, b"libgomp.so.1".ljust(len(name), bytes(1))))
    (packages / "libgomp.pth").write_text(f"import ctypes; ctypes.CDLL({str(library)!r})\n")
endef
export PROVIDE_LIBGOMP
