#!/usr/bin/env bash
# `quern serve` under mixed load on loopback, for an hour or as long as is said: chats, completions, embeddings, answers
# with a shape, requests that are wrong, clients that hang up. Every answer is compared with the one that the same request
# got when it was alone. Ends by itself; exit code 1 if an answer is wrong or lost, or memory grows.
#
#   tests/bench/soak.sh                  an hour with SmolLM2
#   tests/bench/soak.sh --minutes 2      shorter; --program PATH for another build, --json for a machine to read
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../packaging/lib.sh"

model=$(download_folder)/test/smollm2-135m-instruct-q4_1.gguf
[ -f "$model" ] || "$root/packaging/fetch-test-data.sh"
exec python3 "$root/tests/bench/soak.py" --root "$root" --model "$model" "$@"
