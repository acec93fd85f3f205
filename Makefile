# make demo · make check · make install PREFIX=… · make completions · make deb · make bench · make bench-deliveries · make bench-states · make bench-switches · make bench-tools · make bench-extract EXTRACT_FILES=… · make fuzz FUZZ_SECONDS=…
PROGRAMS = orch-enqueue orch-assign orch-ctx orch-extract orch-feedback orch-wrap orch-ls orch-ctl
PREFIX = /usr/local
TARGET = $(or $(CARGO_TARGET_DIR),target)
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
SHELL_FILES = .ci/run .ci/clients examples/*.sh examples/captures/*.sh fuzz/rustc

# Where the C library can be linked statically, a program starts in less than half the time.
ifneq (,$(and $(findstring linux-gnu,$(HOST)),$(wildcard /usr/lib/*/libc.a /usr/lib64/libc.a /usr/lib/libc.a)))
STATIC = yes
endif
ifeq ($(STATIC),yes)
RELEASE = $(TARGET)/$(HOST)/release
CARGO_RELEASE = RUSTFLAGS='-C target-feature=+crt-static -C relocation-model=static' cargo build --locked --release --target $(HOST)
else
RELEASE = $(TARGET)/release
CARGO_RELEASE = cargo build --locked --release
endif

.PHONY: build demo check completions install deb bench bench-switches bench-deliveries bench-states bench-tools bench-extract fuzz
.DEFAULT_GOAL = build

build:
	@examples/needs.sh cargo cc
	$(CARGO_RELEASE) --bins

demo:
	@examples/needs.sh cargo cc tmux git
	@cargo build --locked --bins
	@ORCH_BIN=$(TARGET)/debug examples/demo.sh

# Pages and completions are held to --help by the tests, whose results come last.
check:
	@examples/needs.sh cargo cc tmux git mandoc shellcheck jq sqlite3
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	shellcheck $(SHELL_FILES)
	if command -v cargo-deb >/dev/null; then $(MAKE) deb; fi
	cargo test --locked

INTO = completions
completions:
	@cargo build --locked --bins
	@mkdir -p $(INTO)
	@for p in $(PROGRAMS); do \
	  $(TARGET)/debug/$$p --completions bash >$(INTO)/$$p.bash && \
	  $(TARGET)/debug/$$p --completions zsh >$(INTO)/_$$p && \
	  $(TARGET)/debug/$$p --completions fish >$(INTO)/$$p.fish || exit 2; \
	done

D = $(DESTDIR)$(PREFIX)
install: build
	install -d $(D)/bin $(D)/share/man/man1 $(D)/share/man/man5 $(D)/share/man/man7
	install -d $(D)/share/bash-completion/completions $(D)/share/zsh/site-functions $(D)/share/fish/vendor_completions.d
	for p in $(PROGRAMS); do \
	  install -m 755 $(RELEASE)/$$p $(D)/bin/ && \
	  install -m 644 completions/$$p.bash $(D)/share/bash-completion/completions/$$p && \
	  install -m 644 completions/_$$p $(D)/share/zsh/site-functions/ && \
	  install -m 644 completions/$$p.fish $(D)/share/fish/vendor_completions.d/ || exit 1; \
	done
	for n in 1 5 7; do install -m 644 man/*.$$n $(D)/share/man/man$$n/ || exit 1; done

deb:
	@command -v cargo-deb >/dev/null || { echo 'deb: cargo-deb: not found: cargo install cargo-deb' >&2; exit 2; }
	cargo deb --locked

# a live client's way into another directory and branch, on the real clients
SWITCHES = examples/bench/SWITCHES.md
bench-switches:
	@printf '%s\n' '# Ten tasks in two directories and two branches through one live client' '' \
	  'By `make bench-switches`: from the first look at the session to a verified prompt in a new conversation, milliseconds.' \
	  'The goal is 1500; above it is a switch with a trust dialog, which is answered.' '' \
	  '| client | switches | median | worst |' '|---|---|---|---|' >$(SWITCHES)
	ORCH_REQUIRE_CLIENTS=1 ORCH_BENCH_SWITCHES=$(abspath $(SWITCHES)) cargo test --locked --test tests turns::ten_tasks
	@cat $(SWITCHES)

bench:
	@examples/needs.sh cargo cc tmux
	$(CARGO_RELEASE) --bins --example bench
	rustc -O -C target-feature=+crt-static -C panic=abort -o $(RELEASE)/examples/empty examples/bench/empty.rs
	$(RELEASE)/examples/bench $(RELEASE) $(RELEASE)/examples/empty >examples/bench/RESULTS.new
	mv examples/bench/RESULTS.new examples/bench/RESULTS.md
	@cat examples/bench/RESULTS.md

# 400 deliveries to the real clients, which .ci/clients installs.
bench-deliveries:
	@examples/needs.sh cargo cc tmux git
	ORCH_REQUIRE_CLIENTS=1 cargo test --locked --test tests receipts::bench -- --ignored --exact --nocapture
	@cat examples/bench/DELIVERIES.md

# Sampled lives of the real clients (.ci/clients), some minutes.
bench-states:
	@examples/needs.sh cargo cc tmux git
	ORCH_REQUIRE_CLIENTS=1 ORCH_STATES_TABLE=examples/bench/STATES.md \
	  cargo test --locked --test tests -- --ignored --exact states::long_lives_at_three_widths_are_seen_as_they_are
	@cat examples/bench/STATES.md

# What real tools printed (examples/captures), and how much of it is told as it was.
bench-tools:
	cargo test --locked --test tests tools::table -- --ignored --exact
	@head -20 examples/bench/TOOLS.md

# Every decoder by libFuzzer, each so many seconds on one core; finds are left in fuzz/artifacts.
# The stable compiler will do: only orch itself is watched (fuzz/rustc).
FUZZ_SECONDS = 60
FUZZ_TARGETS = auto text claude codex gemini opencode pi sweagent aider markdown hook tty script asciicast render
fuzz:
	@examples/needs.sh cargo c++
	cd fuzz && RUSTC_WRAPPER=$(abspath fuzz/rustc) RUSTFLAGS='--cfg fuzzing' CARGO_TARGET_DIR=$(abspath $(TARGET))/fuzz cargo build --release
	@for t in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/corpus/$$t fuzz/artifacts && \
	  $(abspath $(TARGET))/fuzz/release/$$t fuzz/corpus/$$t fuzz/seeds/$$t -max_total_time=$(FUZZ_SECONDS) -max_len=400 -timeout=5 \
	    -artifact_prefix=fuzz/artifacts/$$t- -print_final_stats=1 -verbosity=0 2>fuzz/corpus/$$t.log || { tail -n 40 fuzz/corpus/$$t.log; exit 1; }; \
	  printf '%s %s\n' $$t "$$(grep -a number_of_executed_units fuzz/corpus/$$t.log)"; \
	done

# How fast outputs are read, beside ripgrep and the physical limits.
bench-extract:
	@examples/needs.sh cargo cc rg
	$(CARGO_RELEASE) --bin orch-extract
	@{ printf '%s\n' '# How fast outputs are read' '' \
	  'By `make bench-extract`: MB/s of CPU time on one core, the best of five runs in turn; `rg` has twelve patterns.' ''; \
	  examples/bench/extract.sh $(RELEASE)/orch-extract $(EXTRACT_FILES); } >examples/bench/EXTRACT.new
	@mv examples/bench/EXTRACT.new examples/bench/EXTRACT.md
	@cat examples/bench/EXTRACT.md
