#!/usr/bin/env bash
# Quern beside llama-server with many clients at once, in turns A B A B: 32 clients that each stream 64 tokens of
# SmolLM2. llama-server and "quern serve" are asked over loopback, the engine also in process.
#
#   tests/bench/many_clients.sh                   three rounds (about a minute)
#   tests/bench/many_clients.sh --idle 2000 --slow 200   also beside connections that do nothing or read slowly
#   tests/bench/many_clients.sh --quick           one round; --json gives all samples; --help the rest
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../packaging/lib.sh"

"$root/tests/bench/peers.sh" --build-only
[ -f "$(download_folder)/test/smollm2-135m-instruct-q4_1.gguf" ] || "$root/packaging/fetch-test-data.sh"
exec python3 "$root/tests/bench/many_clients.py" --root "$root" \
  --peer "$(echo "$(download_folder)"/peers/llama_cpp_python-*/native/bin)" \
  --model "$(download_folder)/test/smollm2-135m-instruct-q4_1.gguf" "$@"
