# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
# shellcheck shell=bash
#
# What every script here shares; sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root" || exit

say() { printf '\n== %s\n' "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# The header comment of a script is its help.
usage() { sed -n '/^# usage:/,/^[^#]/{s/^# \{0,1\}//p}' "$0"; }

as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "needs root, or sudo, for: $*"
  fi
}

# A clone made by another user (sudo, a container) is still ours to read.
repo_git() { git -c safe.directory="$root" -C "$root" "$@"; }

# Two clones of the tree share what they compiled, wherever they lie.
export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root}
export CCACHE_NOHASHDIR=1
if [[ -z ${CCACHE_DIR:-} && -z ${HOME:-} ]]; then export CCACHE_DIR=$root/build-ccache; fi
# Messages are compared and counted: keep them in one language.
export LC_ALL=C.UTF-8
# Tools of Debian live in sbin too, which a user's PATH lacks.
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
