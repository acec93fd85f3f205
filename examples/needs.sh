#!/bin/bash
# needs.sh PROGRAM…: every program is there when this ends well. Debian's root installs what is missing; others are told how.
set -euo pipefail

packages=()
for program in "$@"; do
  command -v "$program" >/dev/null && continue
  case $program in
    cargo)
      echo "needs: cargo: not found: see https://rustup.rs, or: apt-get install rustup && rustup default stable" >&2
      exit 2
      ;;
    cc) packages+=(gcc libc6-dev) ;;
    rg) packages+=(ripgrep) ;;
    systemd-analyze) packages+=(systemd) ;;
    *) packages+=("$program") ;;
  esac
done
[[ ${#packages[@]} -gt 0 ]] || exit 0

if command -v apt-get >/dev/null; then
  install="apt-get install -y --no-install-recommends ${packages[*]}"
elif command -v brew >/dev/null; then
  install="brew install ${packages[*]}"
else
  install="install with your package manager: ${packages[*]}"
fi
if [[ $install == apt-get* && $(id -u) == 0 ]]; then
  echo "needs: $install" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2 && $install -qq >&2
else
  echo "needs: missing: $install" >&2
  exit 2
fi
