#!/usr/bin/env bash
# hack/quickstart: the main job, with its own assertions (one copy a site, second copies trimmed, equal checksums at the
# remote sites while the home is gone). Uses what is built; with root over a WAN, without on loopback.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
directory=$(mktemp -d /tmp/shima-qs.XXXXXX)
clean_up() {
  hack/devcluster down --purge --dir "$directory/cluster" >/dev/null 2>&1 || true
  rm -rf "$directory"
}
trap clean_up EXIT
hack/quickstart --no-build --quick --down --dir "$directory"
