#!/usr/bin/env bash
# Acceptance test on a machine with a GPU: builds llama.cpp for it, runs every step of gpu.py, writes OUT/gpu.json and OUT/gpu.md. Needs no network.
#   server/acceptance/gpu.sh --source llama_cpp_python-0.3.36.tar.gz [--wheels FOLDER] [--out FOLDER] [--step NAME ...]
#   server/acceptance/gpu.sh --device cpu            the same steps with small models and no build, on a machine without a GPU
# --wheels installs infill and the bench's requirements from a folder of wheels (docs/develop/gpu.md shows how to fill it). PYTHON is the interpreter.
set -euo pipefail
cd "$(dirname "$0")/../.."

python=${PYTHON:-.venv/bin/python}
device=cuda source='' wheels='' out=acceptance-gpu steps=()
while [ $# -gt 0 ]; do
  case $1 in
    --device) device=$2 ;;
    --source) source=$(realpath "$2") ;;
    --wheels) wheels=$(realpath "$2") ;;
    --out) out=$2 ;;
    --step) steps+=(--step "$2") ;;
    *) echo "Unknown option $1; the head of this file lists them." >&2; exit 2 ;;
  esac
  shift 2
done
case $device in cuda | cpu) ;; *) echo "--device is cuda or cpu." >&2; exit 2 ;; esac
if [ "$device" = cuda ] && [ -z "$source" ]; then
  echo "--source names the source archive of llama-cpp-python: without network nothing can be fetched." >&2; exit 2
fi

if [ -n "$wheels" ]; then
  [ -x "$python" ] || python3 -m venv "$(dirname "$(dirname "$python")")"
  "$python" -m pip install -q --no-index --find-links "$wheels" "infill-lsp[bench]"
fi
mkdir -p "$out"
out=$(realpath "$out")
export INFILL_HOME=$out/home INFILL_OFFLINE=1 PIP_NO_INDEX=1
[ -z "$wheels" ] || export PIP_FIND_LINKS=$wheels

# 25 minutes for all steps: gpu.py stops earlier; this kills it if a driver hangs
exec timeout --kill-after=30 1500 "$python" server/acceptance/gpu.py --device "$device" --source "$source" --out "$out" ${steps[@]+"${steps[@]}"}
