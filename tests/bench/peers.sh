#!/usr/bin/env bash
# Quern beside llama.cpp on this machine, in turns A B A B: speeds, time to the first token, peak memory, their ratios
# and the goals for them. Fetches llama.cpp out of a pinned source package and builds it once as it comes and once for
# AVX2 alone, into ~/.cache/quern/peers.
#
#   tests/bench/peers.sh                          everything (about half an hour)
#   tests/bench/peers.sh --list                   the rows
#   tests/bench/peers.sh --only 'smollm2-*'       some of them; --quick is one round instead of three
#   tests/bench/peers.sh --avx2                   Quern's AVX2 kernels beside llama.cpp built for AVX2
#   tests/bench/peers.sh --json                   all samples, for a machine to read
#   tests/bench/peers.sh --show FILE...           the tables of such files
#   tests/bench/peers.sh --build-only             fetch and build, measure nothing
#
# Everything else is an option of peers.py (--help).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../packaging/lib.sh"

# The package of packaging/fetch-test-data.sh: what people get from "pip install llama-cpp-python".
version=0.3.36
archive_sha=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
folder=$(download_folder)/peers/llama_cpp_python-$version

fetch_source() {
  [ -f "$folder/.source-complete" ] && return 0
  local archive
  archive=$(download_folder)/downloads/llama_cpp_python-$version.tar.gz
  pip_file "$archive" $archive_sha --no-binary llama-cpp-python llama-cpp-python==$version
  mkdir -p "$folder"
  tar -xzf "$archive" -C "$folder" --strip-components=2 "llama_cpp_python-$version/vendor/llama.cpp"
  touch "$folder/.source-complete"
  rm -f "$archive"
}

# The stamp names the targets, so that a folder from before one of them came is built on.
build_peer() { # folder, "target…", cmake arguments…
  local build=$folder/$1 targets=$2 stamp
  stamp=$build/.complete-$(tr ' ' '+' <<<"$targets")
  shift 2
  [ -f "$stamp" ] && return 0
  say "Building llama.cpp in $build (some minutes) …"
  cmake -G Ninja -S "$folder/llama.cpp" -B "$build" -DCMAKE_BUILD_TYPE=Release -DLLAMA_BUILD_TESTS=OFF \
    -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=ON -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
    -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_MTMD=OFF "$@" \
    >"$build.log" 2>&1 || die "Configuring llama.cpp failed; see $build.log."
  # shellcheck disable=SC2086
  cmake --build "$build" --target $targets >>"$build.log" 2>&1 || die "Building llama.cpp failed; see $build.log."
  touch "$stamp"
}

fetch_source
# The server's web page is left out: it would be fetched from the network.
build_peer native "llama-bench llama-batched-bench llama-completion llama-server"
# Only the library of CPU kernels is compiled for an instruction set: the AVX2 variant is that library alone, put before
# the other build's. Its multiply-adds are those that every AVX2 machine has, without AVX-VNNI.
build_peer avx2 ggml-cpu -DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON
[ "${1:-}" = --build-only ] && exit 0

packaging_models=$(download_folder)/test
[ -f "$packaging_models/gemma-3-270m-q4_k_m.gguf" ] || "$root/packaging/fetch-test-data.sh"
exec python3 "$root/tests/bench/peers.py" --root "$root" --peer "$folder" --test-models "$packaging_models" \
  --random-models "$(download_folder)/peers/models" "$@"
