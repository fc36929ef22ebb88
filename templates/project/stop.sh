#!/bin/sh
# The same as `xingrin stop`, for this project. Options are passed on: ./stop.sh --help
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
xingrin=${XINGRIN_BIN:-xingrin}
if ! command -v "$xingrin" >/dev/null 2>&1; then
  {
    echo "xingrin is not there: $xingrin"
    echo '  Install it:      npm install --global xingrin'
    echo '  Or say where:    XINGRIN_BIN=/path/to/xingrin stop.sh'
    echo "找不到 xingrin:$xingrin"
    echo '  安装:          npm install --global xingrin'
    echo '  或指定其位置:  XINGRIN_BIN=/path/to/xingrin stop.sh'
  } >&2
  exit 127
fi
exec "$xingrin" -C "$here" stop "$@"
