# SPDX-License-Identifier: Apache-2.0
# Sourced by tools/run and tools/test: the toolchain and the Debian packages they need.

# say TEXT: what happens now, on standard error, so that the output of a command stays its own.
say() { printf '\n== %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# need_toolchain: Swift 6.3 or later is in PATH.
need_toolchain() {
  command -v swift > /dev/null || die "swift is not in PATH. Install the Swift 6.3 toolchain for Debian 12 from" \
    "https://www.swift.org/install/linux and add its usr/bin to PATH."
  local version major minor
  version=$(swift --version 2> /dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -1)
  major=${version%%.*}
  minor=${version#*.}
  minor=${minor%%.*}
  if [ "${major:-0}" -lt 6 ] || { [ "$major" -eq 6 ] && [ "${minor:-0}" -lt 3 ]; }; then
    die "Swift 6.3 or later is needed, this is ${version:-an unknown version} in $(command -v swift)."
  fi
}

# missing_packages NAME...: those that are not installed.
missing_packages() {
  local name
  for name in "$@"; do
    dpkg-query -W -f '${db:Status-Abbrev}\n' "$name" 2> /dev/null | grep -q '^ii' || printf '%s\n' "$name"
  done
}

# need_packages NAME...: installs what is missing, as root or with sudo; says what and why when it cannot.
need_packages() {
  command -v dpkg-query > /dev/null || {
    echo "note: this is no Debian; these must be there by other means: $*" >&2
    return 0
  }
  local missing=()
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo > /dev/null || die "these Debian packages are missing: ${missing[*]}. They cannot be installed:" \
      "you are not root and there is no sudo. As root run: apt-get install ${missing[*]}"
    root=(sudo)
  fi
  say "Installing Debian packages: ${missing[*]}"
  local install=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends)
  "${install[@]}" "${missing[@]}" >&2 && return 0
  say "Reading the package lists anew"
  "${root[@]}" apt-get update >&2 || die "apt-get update failed; the packages ${missing[*]} are still missing."
  "${install[@]}" "${missing[@]}" >&2 ||
    die "apt-get could not install ${missing[*]}; its own messages are above."
}

# need_swift_packages BUILD_DIR: their sources, from the network unless they are there. A download that breaks off is no
# reason to give up: tried three times; what the build needs and lacks then, it says itself.
need_swift_packages() {
  local try
  for try in 1 2 3; do
    swift package resolve --scratch-path "$1" >&2 && return 0
    echo "note: try $try to get the Swift packages failed" >&2
  done
}

# What the broker and its plugins are built from, and what the built tree needs to run. Of libcurl the broker takes the
# headers only: it opens the library when a plugin makes HTTP requests, so that to run one libcurl4 is recommended.
# shellcheck disable=SC2034  # used by who sources this
BUILD_PACKAGES=(libssl-dev libffi-dev libsqlite3-dev liblmdb-dev libcurl4-openssl-dev pkg-config)
