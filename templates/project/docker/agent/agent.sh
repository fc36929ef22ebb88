#!/bin/sh
# The agent: tells the server every few seconds that this machine is alive, how busy it is and which version runs here.
#
#   agent.sh          works until it gets SIGTERM
#   agent.sh check    ends with 0 if the server has accepted a heartbeat within the last 15 seconds
#
#   SERVER_URL    where the server is, e.g. http://server:8888
#   WORKER_NAME   any text; the host name if empty
#   IS_LOCAL      true on the server's own machine
#   AGENT_TOKEN   sent as a bearer token if not empty
#   HOST_PROC     where the machine's /proc is (default /host/proc)
set -u
# Bytes, not characters: what a name holds is passed on as it came.
LC_ALL=C
export LC_ALL

interval=3
request_limit=8
longest_pause=30
fresh=15

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
state=${TMPDIR:-/tmp}/xingrin-agent
proc=${HOST_PROC:-/host/proc}
server=${SERVER_URL:-}
server=${server%/}
token=${AGENT_TOKEN:-}
child=
worker=
told=

say() {
  printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >&2
}

check() {
  read -r last 2>/dev/null <"$state.beat" || return 1
  [ $(($(date +%s) - last)) -lt "$fresh" ]
}

end() {
  trap - TERM INT
  if [ -n "$child" ]; then kill "$child" 2>/dev/null; fi
  rm -f "$state.answer" "$state.beat"
  exit 0
}

# A shell notices a signal only between commands, and during `wait`: so whatever may last runs beside it.
attend() {
  "$@" &
  child=$!
  wait "$child"
  code=$?
  child=
  return "$code"
}

# json_text TEXT: the same as a JSON string, with its quotes, whatever is in it.
json_text() {
  rest=$1
  text=
  while [ -n "$rest" ]; do
    tail=${rest#?}
    char=${rest%"$tail"}
    rest=$tail
    case $char in
      '"' | \\) text=$text\\$char ;;
      [[:cntrl:]]) text=$text$(printf '\\u%04x' "'$char") ;;
      *) text=$text$char ;;
    esac
  done
  printf '"%s"' "$text"
}

# send PATH BODY: the answer goes into a file, so that the shell stays free for signals.
send() {
  if command -v curl >/dev/null 2>&1; then
    # The token goes through a pipe, where no list of processes shows it.
    if [ -n "$token" ]; then printf 'header = "Authorization: Bearer %s"\n' "$token"; fi |
      curl --silent --show-error --fail --max-time "$request_limit" --config - \
        --header 'Content-Type: application/json' --data-binary "$2" --output "$state.answer" "$server$1"
  elif [ -n "$token" ]; then
    exec timeout "$request_limit" wget -q -O "$state.answer" \
      --header 'Content-Type: application/json' --header "Authorization: Bearer $token" --post-data "$2" "$server$1"
  else
    exec timeout "$request_limit" wget -q -O "$state.answer" \
      --header 'Content-Type: application/json' --post-data "$2" "$server$1"
  fi
}

# field NAME: a number or a plain word out of the last answer.
field() {
  sed -n 's/.*"'"$1"'" *: *"\{0,1\}\([A-Za-z0-9._-]*\).*/\1/p' "$state.answer" | head -n 1
}

register() {
  attend send /api/workers/register/ "{\"name\":$name,\"is_local\":$local}" || return 1
  worker=$(field worker_id)
  [ -n "$worker" ] || return 1
  say "registered at $server as worker $worker, version $version"
}

# Sets `cpu`: tenths of a percent since the last time it was asked.
read_cpu() {
  # Each process of a container may see the machine's counters: the first line sums over all processors.
  read -r _ user nice system idle iowait irq softirq steal _ <"$proc/stat" || return 1
  total=$((user + nice + system + idle + iowait + irq + softirq + steal))
  rest_time=$((idle + iowait))
  span=$((total - last_total))
  cpu=0
  if [ "$span" -gt 0 ]; then cpu=$(((span - (rest_time - last_rest)) * 1000 / span)); fi
  # iowait may run backwards.
  if [ "$cpu" -lt 0 ]; then cpu=0; fi
  if [ "$cpu" -gt 1000 ]; then cpu=1000; fi
  last_total=$total
  last_rest=$rest_time
}

# Sets `memory`: tenths of a percent in use.
read_memory() {
  memory_total=0
  memory_free=0
  while read -r key value _; do
    case $key in
      MemTotal:) memory_total=$value ;;
      MemAvailable:) memory_free=$value && break ;;
    esac
  done <"$proc/meminfo"
  [ "$memory_total" -gt 0 ] || return 1
  memory=$(((memory_total - memory_free) * 1000 / memory_total))
}

beat() {
  if ! read_cpu || ! read_memory; then
    say "cannot read $proc/stat and $proc/meminfo: mount the machine's /proc there"
    return 1
  fi
  load="\"cpu_percent\":$((cpu / 10)).$((cpu % 10)),\"memory_percent\":$((memory / 10)).$((memory % 10))"
  attend send "/api/workers/$worker/heartbeat/" "{$load,\"version\":$version_json}" || return 1
  date +%s >"$state.beat"
  news=$(field need_update)
  if [ "$news" = true ] && [ "$told" != true ]; then
    say "the server runs $(field server_version), this agent $version: it will be updated from there"
  fi
  told=$news
}

# A fleet that lost its server shall not come back in one instant.
pause_after() {
  pause=1
  tries=$1
  while [ "$tries" -gt 1 ] && [ "$pause" -lt "$longest_pause" ]; do
    pause=$((pause * 2))
    tries=$((tries - 1))
  done
  if [ "$pause" -gt "$longest_pause" ]; then pause=$longest_pause; fi
  chance=$(od -An -N2 -tu2 /dev/urandom | tr -d ' \n')
  pause=$((pause + ${chance:-0} % (pause + 1)))
}

case ${1:-} in
  check)
    check
    exit
    ;;
  '') ;;
  *)
    say "usage: agent.sh [check]"
    exit 2
    ;;
esac

case $server in
  http://?* | https://?*) ;;
  *)
    say 'SERVER_URL must be an http:// or https:// address'
    exit 2
    ;;
esac
case $token in
  *[!A-Za-z0-9._~+/=-]*)
    say 'AGENT_TOKEN may hold letters, digits and . _ ~ + / = - only'
    exit 2
    ;;
esac
version=unversioned
if [ -r "$here/VERSION" ]; then read -r version <"$here/VERSION"; fi
version_json=$(json_text "$version")
name=$(json_text "${WORKER_NAME:-$(hostname)}")
case ${IS_LOCAL:-false} in
  true | 1) local=true ;;
  *) local=false ;;
esac
last_total=0
last_rest=0
failures=0

trap end TERM INT
rm -f "$state.beat"
say "agent $version for $server"
while :; do
  if { [ -n "$worker" ] || register; } && beat; then
    failures=0
    attend sleep "$interval"
  else
    # The server may have forgotten us, too: begin with the registration.
    worker=
    failures=$((failures + 1))
    pause_after "$failures"
    say "no luck with $server; next try in $pause s"
    attend sleep "$pause"
  fi
done
