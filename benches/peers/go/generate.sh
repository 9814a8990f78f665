#!/usr/bin/env bash
# Generates wire/ from proto/; the result is committed, so that building the peer needs Go alone.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../../.. && pwd)
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
GOBIN=$tools go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
GOBIN=$tools go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
package=pilotlight/wire/simulator.proto=pilotlight/benches/peers/go/wire
PATH="$tools:$PATH" "$root/.venv/bin/python" -m grpc_tools.protoc -I"$root/proto" \
  --go_out=. --go_opt=module=pilotlight/benches/peers/go,M"$package" \
  --go-grpc_out=. --go-grpc_opt=module=pilotlight/benches/peers/go,M"$package" \
  pilotlight/wire/simulator.proto
