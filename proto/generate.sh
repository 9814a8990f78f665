#!/usr/bin/env bash
# Generates the Python code of every file in proto/. The result is committed, so that building and installing need no protoc.
#
#   proto/generate.sh           write into python/
#   proto/generate.sh --check   compare with what is committed; print the difference and fail when there is one
#
# PYTHON names the interpreter that has grpcio-tools and mypy-protobuf; by default the one in .venv.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}

# generate FOLDER
generate() {
  (
    cd "$root"
    # mypy-protobuf is a protoc plug-in: protoc finds it on the path, beside the interpreter.
    PATH="$(dirname "$python"):$PATH" "$python" -m grpc_tools.protoc -Iproto \
      --python_out="$1" --pyi_out="$1" --grpc_python_out="$1" --mypy_grpc_out=quiet:"$1" \
      "${sources[@]}"
  )
}

mapfile -t sources < <(cd "$root/proto" && find . -name '*.proto' -printf '%P\n' | sort)

case "${1:-}" in
  "")
    generate "$root/python"
    ;;
  --check)
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    generate "$fresh"
    stale=0
    while IFS= read -r file; do
      diff -u "$root/python/$file" "$fresh/$file" || stale=1
    done < <(cd "$fresh" && find . -type f -printf '%P\n' | sort)
    # Code whose .proto is gone.
    while IFS= read -r file; do
      [[ -e $fresh/$file ]] || { echo "python/$file: generated from nothing in proto/" >&2; stale=1; }
    done < <(cd "$root/python" && find . -name '*_pb2*.py*' -not -path '*/__pycache__/*' -printf '%P\n' | sort)
    if ((stale)); then
      echo "generated code differs from proto/: run proto/generate.sh and commit the result" >&2
      exit 1
    fi
    ;;
  *)
    echo "usage: proto/generate.sh [--check]" >&2
    exit 2
    ;;
esac
