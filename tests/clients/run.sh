#!/usr/bin/env bash
# Real Python clients against "quern serve" with SmolLM2: run.sh PROGRAM [ARGUMENTS OF check_clients.py]
# The packages live in a virtual environment of their own, made once for each version of requirements.txt. Exit code 77
# (skipped) where the model or the packages cannot be had.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$1
shift
cache=${QUERN_TEST_CACHE:-$HOME/.cache/quern/test}
model=$cache/smollm2-135m-instruct-q4_1.gguf
[ -f "$model" ] || { echo "no SmolLM2: run packaging/fetch-test-data.sh"; exit 77; }

venv=$HOME/.cache/quern/clients-$(sha256sum "$here/requirements.txt" | cut -c1-16)
if [ ! -f "$venv/complete" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --requirement "$here/requirements.txt" || { echo "no packages: is there a network?"; exit 77; }
  touch "$venv/complete"
fi

port=$("$venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
work=$(mktemp -d)
QUERN_HOME=$work "$program" serve --host 127.0.0.1 --port "$port" --model "$model" --parallel 8 --ctx 2048 \
  >"$work/log" 2>&1 &
server=$!
finish() {
  kill -TERM "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
for _ in $(seq 100); do
  if "$venv/bin/python" -c "import urllib.request as r; r.urlopen('http://127.0.0.1:$port/v1/models')" 2>/dev/null; then
    "$venv/bin/python" "$here/check_clients.py" --url "http://127.0.0.1:$port" "$@"
    exit
  fi
  kill -0 "$server" 2>/dev/null || { cat "$work/log"; echo "the server has ended"; exit 1; }
  sleep 0.2
done
cat "$work/log"
echo "the server does not answer"
exit 1
