#!/usr/bin/env bash
# From a fresh Debian 12 to a chat: installs what is missing, builds, fetches the starter model, starts Quern with the
# arguments given. QUERN_CUDA=1 in the environment builds the CUDA backend where nvcc is found.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

install_missing build window
preset=release
if [ "${QUERN_CUDA:-0}" = 1 ]; then
  command -v nvcc >/dev/null || die "QUERN_CUDA=1 was asked for, but there is no nvcc on the PATH."
  preset=cuda
fi
[ -f "$root/build/$preset/build.ninja" ] || say "Building Quern; this takes a few minutes the first time."
if [ -f "$root/build/$preset/build.ninja" ]; then
  build "$preset" quern
else
  build "$preset" quern -- -DQUERN_TESTS=OFF
fi
starter_model "$(data_folder)/models/smollm2.gguf"
exec "$root/build/$preset/bin/quern" "$@"
