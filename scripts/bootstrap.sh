#!/bin/sh
# Makes a fresh clone ready: Node, npm packages, the built command. Does nothing that is done already.
# Docker and what else the demo and the tests need is seen to by them.
set -eu

cd "$(dirname "$0")/.."

node_will_do() {
  command -v node > /dev/null &&
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
}

# install_packages NAME...: from the machine's own package sources, without questions.
install_packages() {
  if ! command -v apt-get > /dev/null; then
    echo "bootstrap: please install $* (this machine has no apt-get)" >&2
    exit 6
  fi
  echo "bootstrap: apt-get install $*" >&2
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" > /dev/null
}

if ! node_will_do; then
  found=$(node --version 2> /dev/null || echo 'no Node.js')
  offered=
  if command -v apt-get > /dev/null; then
    apt-get -qq update
    offered=$(LC_ALL=C apt-cache policy nodejs | sed -n 's/^ *Candidate: //p')
  fi
  case $offered in
    '' | '(none)') enough=no ;;
    *) if dpkg --compare-versions "$offered" ge 20.19; then enough=yes; else enough=no; fi ;;
  esac
  if [ "$found" != 'no Node.js' ] || [ "$enough" = no ]; then
    echo "bootstrap: xingrin needs Node.js 20.19 or newer; this machine has $found" >&2
    echo "bootstrap: its package sources offer ${offered:-none}; please install a newer Node.js and run this again" >&2
    exit 6
  fi
  install_packages nodejs npm
fi

if ! command -v npm > /dev/null; then install_packages npm; fi
if ! command -v git > /dev/null; then install_packages git; fi

# The stamp tells for which lock file node_modules was made.
stamp=node_modules/.xingrin-lock
lock=$(cksum < package-lock.json)
if [ "$(cat "$stamp" 2> /dev/null || true)" != "$lock" ]; then
  echo 'bootstrap: npm ci' >&2
  # No package of ours needs an install script, and none is run.
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  echo "$lock" > "$stamp"
fi

node scripts/build.mjs
