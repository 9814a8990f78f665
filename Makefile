# Everything a developer or a stranger runs. `make help` lists it; every target sets up what it needs.

PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
# Loom replaces the atomics of the whole dependency graph, so its build lives beside the ordinary one.
LOOM := RUSTFLAGS="--cfg pilotlight_loom" CARGO_TARGET_DIR=target/loom LOOM_MAX_PREEMPTIONS=3
SWEPT := docs/images/sweep.parquet
# As many policies as a picture on a page has room for.
PICTURED := $(addprefix --family ,fixed break_even level_gap hybrid_histogram icebreaker knative)

# Of `make bench`: rounds of every measurement, calls (or the duration) of the soak, name of the results.
ROUNDS ?= 3
SOAK ?= 10000000
NAME ?= $(shell date -u +%F)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-rust test-loom test-python test-go lint audit format bench bench-python bench-baseline proto docs clean

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 16

$(BIN)/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet uv==$(UV_VERSION)

setup: $(BIN)/uv ## Make .venv with the locked dependencies and the built extension.
	$(BIN)/uv sync --frozen --quiet

demo: setup ## Simulate a generated trace with several policies and print the comparison.
	$(BIN)/pilotlight simulate

test: setup test-rust test-loom test-python test-go ## Run all tests.

test-rust: ## Run the Rust tests.
	cargo test --workspace --locked

test-loom: ## Explore every interleaving of the engine's words (preemption bound 3).
	$(LOOM) cargo test --locked -p pilotlight-core --test loom --test loom_ledger --test loom_reuse --test loom_trouble

test-python: setup ## Run the Python tests.
	$(BIN)/pytest

test-go: ## Run the tests of the Go peer (benches/peers/go), where Go is installed.
	@if command -v go > /dev/null; then cd benches/peers/go && go test ./...; \
	else echo "skipped: the Go peer's tests; they need Go (https://go.dev/dl)"; fi

lint: setup ## Check formats, lints, types, the stub file and the generated code.
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/stubtest pilotlight._core
	proto/generate.sh --check

audit: setup ## Look the dependencies up in the advisory databases that can be reached.
	@$(BIN)/python .ci/audit.py

format: setup ## Format Rust and Python.
	cargo fmt --all
	$(BIN)/ruff format
	$(BIN)/ruff check --fix --quiet

bench: setup ## Measure everything that is claimed, side by side, and render benches/results/README.md (several minutes).
	$(BIN)/pilotlight bench all --rounds $(ROUNDS) --soak $(SOAK) --json benches/results/$(NAME)-bench.json
	$(BIN)/python -m pilotlight.bench.page benches/results
	$(BIN)/python benches/python/compare.py

bench-python: setup ## Measure what Python developers touch, and fail if it is slower than the baseline (a minute).
	$(BIN)/python benches/python/compare.py

bench-baseline: setup ## Keep what bench-python measures as the baseline of this machine.
	$(BIN)/python benches/python/compare.py --save

proto: setup ## Regenerate the protobuf code in python/pilotlight/wire.
	proto/generate.sh

docs: setup ## Regenerate the pages and pictures of docs/ that are made from code.
	$(BIN)/python -m pilotlight.server.config_docs > docs/configuration.md
	$(BIN)/python -m pilotlight.report.policy_pictures docs/images
	$(BIN)/pilotlight compare $(PICTURED) --plot docs/images/compare.svg > /dev/null
	$(BIN)/pilotlight sweep --synth poisson --grid lambda=0.3,0.5,1,2,3,5,10,20 --out $(SWEPT) --plot docs/images/sweep.svg > /dev/null
	rm $(SWEPT)

clean: ## Remove what was built.
	rm -rf target .venv dist python/pilotlight/_core.*.so
