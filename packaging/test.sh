#!/usr/bin/env bash
# Everything this machine can test: the release build with its fast, slow and window tests and the server with real
# clients, then the engine under the address, undefined-behaviour and thread sanitizers, the fuzz targets over their
# corpora, and attacks on a whole server.
# "packaging/test.sh quick" stops after the release build's tests.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

install_missing build window test
packaging/fetch-test-data.sh

run_ctest() { # preset, ctest arguments
  local preset=$1
  shift
  ctest --test-dir "build/$preset" --output-on-failure -j 2 "$@"
}

failed=()
step() { # name, command...
  local name=$1 began=$SECONDS
  shift
  say "== $name"
  "$@" || failed+=("$name")
  say "== $name: $((SECONDS - began)) s"
}

build release all -- -DQUERN_TESTS=ON
step "release tests" run_ctest release -LE gui
step "window tests" run_ctest release -L gui -j 1
step "clients and attacks" tests/clients/run.sh build/release/bin/quern
if [ "${1:-}" != quick ]; then
  build asan fast_tests fuzzers quern -- -DQUERN_FUZZ=ON
  step "address and undefined-behaviour sanitizers" run_ctest asan -L fast
  step "fuzzing" run_ctest asan -L fuzz
  step "attacks under the address sanitizer" env ASAN_OPTIONS=quarantine_size_mb=16 \
    python3 tests/clients/under_attack.py build/asan/bin/quern --rounds 2 --health-ms 1000
  build tsan test_scheduler test_grammar test_store test_runtime test_base test_serve --
  step "thread sanitizer" run_ctest tsan -R '^(Schedul|Constraint|ModelPool|PrefixStore|Engine|Store|ThreadPool|Api|Front|Kept/HttpAttacks|CpuExecutable)'
fi
if [ ${#failed[@]} -gt 0 ]; then
  die "Failed: $(IFS=,; echo "${failed[*]}")"
fi
say "All tests passed."
