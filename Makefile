# The loops, each of which contains the one before it: `make check` while editing, `make test` before a commit, `make verify`
# as CI does, `make soak` by hand before a release. `make demo` shows the main job on a fresh machine.
# CONTRIBUTING.md has measured times.

# The pinned toolchain, or the default toolchain if the pinned one cannot be installed.
ifeq ($(shell rustc --version 2>/dev/null),)
  ifneq ($(shell rustup --version 2>/dev/null),)
    export RUSTUP_TOOLCHAIN := $(firstword $(shell rustup default))
  endif
endif

TARGET = $(or $(CARGO_TARGET_DIR),target)

# The Go that `./setup mappers` installs if there is none, or only one that is too old.
export PATH := $(abspath target/golang/go/bin):$(PATH)

# The program that `mappers` and `payloads` run. `make test` needs no release build: it uses the one of its own tests.
PROFILE = release
HOOKMILL = $(TARGET)/$(PROFILE)/hookmill
check test: PROFILE = debug

# Doc tests are not nextest's: they are run by cargo alone.
RUN_TESTS = cargo $(if $(shell cargo nextest --version 2>/dev/null),nextest run --no-tests=pass,test) --workspace

# The page of the console, which is written after its other files.
CONSOLE = console/dist/index.html.gz

# Bundled mappers that are not in Rust, whose payloads no cargo test runs.
OTHERS = cybereason falco google-workspace guardduty okta sentry

# The duration of each fuzz target.
FUZZ_S = 30

.NOTPARALLEL:
.PHONY: demo check test verify verify-rest soak lint postgres test-postgres test-profiles payloads sdks outside console-test bench fuzz deny doc sbom mappers build setup deb package-tests compare

demo: mappers
	$(HOOKMILL) demo

# Formatting, lints and unit tests, in the dev profile.
check: lint postgres
	$(RUN_TESTS) --lib --bins

# Also the bundled plugins, end-to-end tests of the program, doc tests, and payloads of the plugins that are not in Rust.
test: check mappers payloads sdks
	$(RUN_TESTS) --test '*'
	cargo test --workspace --doc

# Two runs of make, because the second takes its program from a release build.
verify: test
	$(MAKE) verify-rest

# The part of `make verify` that `make test` does not run.
verify-rest: test-postgres deny doc build outside console-test fuzz sbom package-tests

# The end-to-end tests again, with hosts that share a database of PostgreSQL. Tests of mappers alone need no database.
# With HOOKMILL_TEST_DATABASE_PROFILE, PostgreSQL is taken for another database, and what that one lacks is not used.
test-postgres: mappers postgres
	HOOKMILL_TEST_DATABASE=postgres $(RUN_TESTS) --test '*' -- --skip conformance:: --skip mappers::

# The tests of the store and those of hosts that share a database with the profile of each other database.
test-profiles: mappers postgres
	for profile in cockroachdb yugabytedb; do \
	  export HOOKMILL_TEST_DATABASE_PROFILE=$$profile; \
	  cargo test --package hookmill-store || exit 1; \
	  $(MAKE) test-postgres || exit 1; \
	done

# Hours: long fuzzing, many mutants of payloads, a host that is killed under load over and over, and each kind of database.
soak: FUZZ_S = 600
soak: mappers fuzz test-profiles
	HOOKMILL_MUTATIONS=$(or $(HOOKMILL_MUTATIONS),2000) cargo test --release --workspace --test '*' conformance
	HOOKMILL_KILLS=$(or $(HOOKMILL_KILLS),1000) cargo test --release --workspace --test '*' durability
	HOOKMILL_KILLS=200 HOOKMILL_REPEATS=10000 HOOKMILL_TEST_DATABASE=postgres \
	  cargo test --release --workspace --test '*' hosts::

# PostgreSQL, which the tests start themselves.
postgres:
	./setup postgres

# Benchmarks are compiled here too.
lint: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

# The payloads of the mappers in TypeScript, Python and Go.
payloads: mappers
	for name in $(OTHERS); do $(HOOKMILL) plugin test plugins/$$name --plugin target/plugins/$$name.wasm || exit 1; done

# The SDKs for TypeScript, Python and Go, without a host. The generated bindings of Go convert numbers to pointers.
sdks: mappers
	node sdk/js/test.mjs
	PYTHONPATH=sdk/python:sdk/python/stubs plugins/guardduty/.venv/bin/python -B -m unittest discover -q sdk/python/tests
	GOOS=wasip1 GOARCH=wasm go -C sdk/go vet -unsafeptr=false ./...
	go -C sdk/go test .

# The host beside signature libraries of others, its API under schemathesis, plugins of every language.
outside: mappers
	./setup outside
	cd tests/outside && HOOKMILL=$(abspath $(HOOKMILL)) ../../target/outside/bin/python -B -m pytest -q -p no:cacheprovider

# The console in a browser, against the host, and with 100,000 incidents, where 95 % of each interaction must end within 200 ms.
console-test: mappers
	./setup browser
	HOOKMILL=$(abspath $(HOOKMILL)) npm --prefix console test
	HOOKMILL=$(abspath $(HOOKMILL)) npm --prefix console run measure

# Also the console, as `console-test` does.
bench: mappers
	cargo bench --workspace
	./setup browser
	HOOKMILL=$(abspath $(HOOKMILL)) npm --prefix console run measure

# Hookmill beside engines and programs of others; ONLY=mapping and ONLY=intakes run one half. What cannot be had is left out.
compare: COMPARE = $(abspath $(TARGET))/compare
compare: mappers
	./setup compare
	cargo build --locked --manifest-path tests/compare/Cargo.toml --target-dir $(COMPARE) --release
	cargo build --locked --manifest-path tests/compare/Cargo.toml --target-dir $(COMPARE) --package extism-crowdstrike \
	  --profile plugin --target wasm32-unknown-unknown || echo "SKIPPED: the plugin for Extism"
	go -C tests/compare/benthos build -o $(COMPARE)/benthos . || echo "SKIPPED: Benthos"
	HOOKMILL=$(abspath $(HOOKMILL)) COMPARE=$(COMPARE) $(COMPARE)/release/hookmill-compare $(ONLY)

# Fuzzes from the corpus that is kept; inputs that are found on the way go to the target folder. The sanitizer is an
# unstable option, which RUSTC_BOOTSTRAP enables in the stable compiler.
fuzz:
	./setup fuzz
	for folder in $(patsubst %/Cargo.toml,%,$(wildcard */fuzz/Cargo.toml)); do \
	  RUSTC_BOOTSTRAP=1 cargo fuzz build --fuzz-dir $$folder --target-dir $(TARGET)/fuzz || exit 1; \
	  for target in $$(cargo fuzz list --fuzz-dir $$folder); do \
	    log=$(TARGET)/fuzz/$$target.log; \
	    echo "fuzzing $$target for $(FUZZ_S) s"; \
	    mkdir -p $(TARGET)/fuzz/corpus/$$target; \
	    RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir $$folder --target-dir $(TARGET)/fuzz $$target \
	      $(TARGET)/fuzz/corpus/$$target $$folder/corpus/$$target -- -max_total_time=$(FUZZ_S) -timeout=10 \
	      >$$log 2>&1 || { cat $$log; exit 1; }; \
	    tail -n 1 $$log; \
	  done; \
	done

# Licences, sources and versions of the dependencies always; known vulnerabilities only if RustSec's database, a git
# repository on github.com, can be fetched.
deny:
	./setup verify
	cargo deny --workspace check bans licenses sources
	if timeout 120 cargo deny fetch db >/dev/null 2>&1; then \
	  cargo deny --workspace check advisories; \
	else \
	  echo "SKIPPED: cargo deny check advisories: the database of RustSec cannot be fetched"; \
	fi

# Checks that the documentation builds without warnings, such as broken links.
doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# The bills of materials of the program and of the plugins in Rust, in CycloneDX, as target/sbom/*.json. The tool writes
# each beside its Cargo.toml.
sbom:
	./setup verify
	cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries
	mkdir -p target/sbom
	find . -name '*.cdx.json' -not -path './target/*' -not -path '*/node_modules/*' -exec mv -t target/sbom {} +

# Every bundled plugin as target/plugins/NAME.wasm, and its compiled code in target/plugins/compiled; those whose inputs
# did not change are kept.
mappers: build
	./setup mappers
	sdk/build-plugins $(abspath $(HOOKMILL))
	$(HOOKMILL) plugin precompile target/plugins

# The Debian package, as target/debian/hookmill_VERSION_ARCH.deb.
deb: mappers
	./setup package
	rm -f target/debian/*.deb
	packaging/build-deb $(HOOKMILL)

# Checks the Debian package, installs it in a Debian with its own systemd, and runs the container's files as a container
# does.
package-tests: deb
	lintian --allow-root --fail-on error,warning target/debian/hookmill_*.deb
	packaging/check-unit
	packaging/test-install target/debian/hookmill_*.deb
	packaging/test-container target/debian/hookmill_*.deb

# In the dev profile, the program as the end-to-end tests run it: cargo makes it with their features, and nothing twice.
build: setup $(CONSOLE)
	$(if $(filter debug,$(PROFILE)),cargo test --workspace --no-run,cargo build --release --workspace --bins)

# The console, which the next build of the program contains.
$(CONSOLE): $(shell find console/src -type f) $(wildcard console/*.*)
	./setup console
	npm --prefix console run build

# Installs missing programs and lists them.
setup:
	./setup
