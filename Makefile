# Everything on a fresh machine: `make demo` runs the main job, `make test` passes the tests.

HOOKMILL = target/release/hookmill

.PHONY: demo test outside bench mappers build setup lint

demo: mappers
	$(HOOKMILL) demo

test: lint mappers
	cargo test --release --workspace
	cargo test --release --benches --no-run
	$(MAKE) outside

# The host beside signature libraries of others, and its API under schemathesis.
outside: mappers
	./setup outside
	cd tests/outside && ../../target/outside/bin/python -B -m pytest -q -p no:cacheprovider

bench: mappers
	cargo bench -p hookmill

# Every bundled mapper as target/plugins/NAME.wasm.
mappers: build
	$(HOOKMILL) plugin build plugins/*

build: setup
	cargo build --release -p hookmill

# Installs what is missing and says so.
setup:
	./setup

lint: setup
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
