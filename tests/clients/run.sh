#!/usr/bin/env bash
# Other people's programs against "quern serve" with SmolLM2: run.sh PROGRAM [PART...]
# The packages live in a virtual environment of their own, made once for each version of requirements.txt. Parts whose
# programs cannot be had are skipped, and said so; run.py has the parts.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=${XDG_CACHE_HOME:-$HOME/.cache}/quern/clients-$(sha256sum "$here/requirements.txt" | cut -c1-16)
if [ ! -f "$venv/complete" ]; then
  python3 -m venv "$venv"
  if ! "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"; then
    echo "SKIPPED: the Python packages cannot be had: is there a network?"
    exit 0
  fi
  touch "$venv/complete"
fi
exec "$venv/bin/python" "$here/run.py" "$@"
