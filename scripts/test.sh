#!/bin/sh
# Every check and every test, on real parts, from a fresh clone: ./scripts/test.sh
# It ends with where the time went; with --write that goes into docs/performance.md too.
set -eu

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
XINGRIN_PROOF_BEGAN=$(date +%s)
export PATH XINGRIN_PROOF_BEGAN
if [ "$(id -u)" != 0 ]; then exec sudo env "PATH=$PATH" "$0" "$@"; fi

cd "$(dirname "$0")/.."
./scripts/bootstrap.sh
exec node --import tsx test/proof/run.ts "$@"
