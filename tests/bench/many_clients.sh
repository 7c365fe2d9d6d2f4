#!/usr/bin/env bash
# Quern beside llama-server with many clients at once, in turns A B A B: 32 clients that each stream 64 tokens of
# SmolLM2. llama-server is asked over loopback, Quern in process.
#
#   tests/bench/many_clients.sh                   three rounds (about a minute)
#   tests/bench/many_clients.sh --quick           one round; --json gives all samples; --help the rest
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../packaging/lib.sh"

"$root/tests/bench/peers.sh" --build-only
[ -f "$(download_folder)/test/smollm2-135m-instruct-q4_1.gguf" ] || "$root/packaging/fetch-test-data.sh"
exec python3 "$root/tests/bench/many_clients.py" --root "$root" \
  --peer "$(echo "$(download_folder)"/peers/llama_cpp_python-*/native/bin)" \
  --model "$(download_folder)/test/smollm2-135m-instruct-q4_1.gguf" "$@"
