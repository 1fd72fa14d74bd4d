# Everything on a fresh machine: `make demo` runs the main job, `make test` passes the tests.

HOOKMILL = target/release/hookmill

# How long each fuzz target runs.
FUZZ_S = 30

# Bundled mappers that are not in Rust, whose payloads no cargo test runs.
OTHERS = guardduty okta

.PHONY: demo test payloads outside bench fuzz mappers build setup lint

demo: mappers
	$(HOOKMILL) demo

test: lint mappers fuzz
	cargo test --release --workspace
	cargo test --release --benches --no-run
	$(MAKE) payloads outside

# The payloads of the mappers in TypeScript and Python.
payloads: mappers
	for name in $(OTHERS); do $(HOOKMILL) plugin test plugins/$$name --plugin target/plugins/$$name.wasm || exit 1; done

# The host beside signature libraries of others, its API under schemathesis, plugins of every language.
outside: mappers
	./setup outside
	cd tests/outside && ../../target/outside/bin/python -B -m pytest -q -p no:cacheprovider

bench: mappers
	cargo bench -p hookmill -p hookmill-signatures

# Fuzzes signatures and their parsers, from the corpus that is kept; what is found on the way goes to the target folder. The
# sanitizer is an unstable option, which the stable compiler takes when it is told to.
fuzz:
	./setup fuzz
	RUSTC_BOOTSTRAP=1 cargo fuzz build --fuzz-dir signatures/fuzz --target-dir target/fuzz
	for target in verify values; do \
	  log=target/fuzz/$$target.log; \
	  echo "fuzzing $$target for $(FUZZ_S) s"; \
	  mkdir -p target/fuzz/corpus/$$target; \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir signatures/fuzz --target-dir target/fuzz $$target \
	    target/fuzz/corpus/$$target signatures/fuzz/corpus/$$target -- -max_total_time=$(FUZZ_S) -timeout=10 \
	    >$$log 2>&1 || { cat $$log; exit 1; }; \
	  tail -n 1 $$log; \
	done

# Every bundled mapper as target/plugins/NAME.wasm.
mappers: build
	./setup mappers
	$(HOOKMILL) plugin build plugins/*

build: setup
	cargo build --release --workspace --bins

# Installs what is missing and says so.
setup:
	./setup

lint: setup
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
