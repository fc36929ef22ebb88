#!/bin/sh
# The agent: tells the server every few seconds that this machine is alive, how busy it is and which version runs here.
#
#   agent.sh          works until it gets SIGTERM
#   agent.sh check    ends with 0 if the server has accepted a heartbeat of this agent within the last 15 seconds
#
#   SERVER_URL    where the server is, e.g. https://xingrin.example.com:8083
#   SERVER_CA     the certificate authority that vouches for it, PEM; the usual authorities if empty
#   WORKER_ID     this worker's number; the agent registers under its name if empty
#   WORKER_NAME   any text; the host name if empty
#   IS_LOCAL      true on the server's own machine
#   AGENT_TOKEN   sent as a bearer token if not empty
#   HOST_PROC     where the machine's /proc is (default /host/proc)
set -u
# Bytes, not characters: what a name holds is passed on as it came.
LC_ALL=C
export LC_ALL
umask 077

interval=3
# Seconds. A server that comes back hears from every agent within 15: a request that hangs, then the longest pause.
connect_limit=3
request_limit=5
longest_pause=4
fresh=15

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
state=${TMPDIR:-/tmp}/xingrin-agent
proc=${HOST_PROC:-/host/proc}
server=${SERVER_URL:-}
server=${server%/}
token=${AGENT_TOKEN:-}
authority=${SERVER_CA:-}
child=
worker=
told=

say() {
  printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >&2
}

refuse() {
  say "$*"
  exit 2
}

# Sets `now`: seconds that go on whatever is done to the clock.
read_now() {
  read -r now _ </proc/uptime
  now=${now%%.*}
}

check() {
  read -r last 2>/dev/null <"$state/beat" || return 1
  read_now
  [ $((now - last)) -lt "$fresh" ]
}

end() {
  trap - TERM INT
  if [ -n "$child" ]; then kill "$child" 2>/dev/null; fi
  rm -rf "$state"
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

# In a file, where no list of processes shows the token, and curl is a child of ours alone, to be ended at once.
write_settings() {
  rm -rf "$state"
  mkdir -p "$state/nothing" || return 1
  {
    printf '%s\n' silent show-error fail-with-body globoff 'proto = "http,https"'
    printf 'connect-timeout = %s\nmax-time = %s\n' "$connect_limit" "$request_limit"
    printf 'header = "Content-Type: application/json"\nuser-agent = "xingrin-agent"\n'
    printf 'output = "%s"\nwrite-out = "%%{http_code}"\n' "$state/answer"
    if [ -n "$token" ]; then printf 'header = "Authorization: Bearer %s"\n' "$token"; fi
    # The server's own authority alone: neither others of the image nor of a folder.
    if [ -n "$authority" ]; then printf 'cacert = "%s"\ncapath = "%s"\n' "$state/ca.pem" "$state/nothing"; fi
  } >"$state/curl"
  if [ -n "$authority" ]; then printf '%s\n' "$authority" >"$state/ca.pem"; fi
}

# `--disable` first: nothing of a machine's .curlrc is read. No answer is longer than the 64 kB that a file may have here.
call() {
  ulimit -f 128
  exec curl --disable --config "$state/curl" --data-binary "$2" --url "$server$1" >"$state/status"
}

# send PATH BODY: the answer goes into a file, so that the shell stays free for signals. Sets `status`, 000 without an answer.
send() {
  rm -f "$state/answer"
  attend call "$@"
  result=$?
  read -r status <"$state/status" || status=${status:-000}
  if [ "$result" -ne 0 ] && [ -s "$state/answer" ]; then
    say "the server said: $(head -c 300 "$state/answer" | tr -d '\000-\037\177')"
  fi
  return "$result"
}

# field NAME…: a number or a plain word out of the last answer, under the first name that it has there. Names in a text cannot
# be mistaken for one: the quotes around them are escaped.
field() {
  for key in "$@"; do
    found=$(sed -n 's/.*"'"$key"'" *: *"\{0,1\}\([A-Za-z0-9._-]*\)"\{0,1\} *\([,}].*\)\{0,1\}$/\1/p' "$state/answer" | head -n 1)
    if [ -n "$found" ]; then break; fi
  done
  printf '%s' "$found"
}

register() {
  send /api/workers/register/ "{\"name\":$name,\"is_local\":$local}" || return 1
  worker=$(field worker_id workerId)
  case $worker in
    '' | *[!0-9]*)
      worker=
      say "the server gave no worker id: is $server the right address?"
      return 1
      ;;
  esac
  say "registered at $server as worker $worker, version $version"
}

# Sets `cpu`: tenths of a percent since the last time it was asked.
read_cpu() {
  # The first line sums over all processors.
  read -r _ user nice system idle iowait irq softirq steal _ 2>/dev/null <"$proc/stat" || return 1
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
  [ -r "$proc/meminfo" ] || return 1
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
  if ! send "/api/workers/$worker/heartbeat/" "{$load,\"version\":$version_json}"; then
    # The server has forgotten us: begin with the registration.
    if [ "$status" = 404 ] && [ -z "${WORKER_ID:-}" ]; then worker=; fi
    return 1
  fi
  read_now
  echo "$now" >"$state/beat"
  news=$(field need_update needUpdate)
  if [ "$news" = true ] && [ "$told" != true ]; then
    say "the server runs $(field server_version serverVersion), this agent $version: it will be updated from there"
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
  chance=$(od -An -N2 -tu2 /dev/urandom | tr -d ' \n')
  pause=$((pause + ${chance:-0} % (pause + 1)))
}

case ${1:-} in
  check)
    check
    exit
    ;;
  '') ;;
  *) refuse 'usage: agent.sh [check]' ;;
esac

case $server in
  http://?* | https://?*) ;;
  *) refuse 'SERVER_URL must be an http:// or https:// address' ;;
esac
case $token in
  *[!A-Za-z0-9._~+/=-]*) refuse 'AGENT_TOKEN may hold letters, digits and . _ ~ + / = - only' ;;
esac
case ${WORKER_ID:-} in
  *[!0-9]*) refuse 'WORKER_ID must be a number' ;;
esac
case $authority in
  '' | *'-----BEGIN CERTIFICATE-----'*) ;;
  *) refuse 'SERVER_CA must be a certificate authority as PEM text' ;;
esac
command -v curl >/dev/null || refuse 'there is no curl here'
version=unversioned
if [ -r "$here/VERSION" ]; then read -r version <"$here/VERSION"; fi
version_json=$(json_text "$version")
name=$(json_text "${WORKER_NAME:-$(hostname)}")
case ${IS_LOCAL:-false} in
  true | 1) local=true ;;
  *) local=false ;;
esac
worker=${WORKER_ID:-}
# Children have no use for them.
unset AGENT_TOKEN SERVER_CA
last_total=0
last_rest=0
failures=0

trap end TERM INT
write_settings || refuse "cannot write to $state"
say "agent $version for $server"
while :; do
  if { [ -n "$worker" ] || register; } && beat; then
    if [ "$failures" -gt 0 ]; then say "$server answers again"; fi
    failures=0
    attend sleep "$interval"
  else
    failures=$((failures + 1))
    pause_after "$failures"
    say "no luck with $server; next try in $pause s"
    attend sleep "$pause"
  fi
done
