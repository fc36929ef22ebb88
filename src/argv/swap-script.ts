/**
 * Runs on a worker and replaces its agent. POSIX sh, for dash and busybox; needs docker, flock and timeout. It is given over
 * standard input with a call of `main` at its end (`src/argv/agent.ts`).
 *
 *     main begin ID LIMIT VERSION MARK IMAGE ARGS…
 *                                 creates the new agent with ARGS, beside us from then on; says `begun`, `inplace` where a healthy
 *                                 agent with this MARK runs IMAGE already, `busy ID` or `refused`
 *     main ask ID SECONDS         says `ID STATE REASON`, then the last lines of what went wrong
 *     main remove LABEL           takes the agents with this label away
 *
 * The states of a swap, each true whatever happens next (a cut link, a killed shell, a reboot):
 *
 *     prepared    the old agent runs as before
 *     started     the old one is stopped, and comes back with the next boot; the new one does not
 *     confirmed   the new one was healthy; the old one is gone                                    end
 *     kept        the new one could not be made; the old one was not touched                      end
 *     restored    the new one failed and is gone; the old one runs again                          end
 *     removed     the new one failed and is gone; there was no old one                            end
 *     stuck       the old one could not be started again: Docker did not answer for minutes       end
 */
export const SWAP_SCRIPT = String.raw`
agent=xingrin-agent
next=xingrin-agent-next
umask 077
if [ "$(id -u)" = 0 ]; then dir=/run/xingrin; else dir=$HOME/.cache/xingrin; fi

# The lock is on descriptor 9; a child that outlives us must not keep it.
engine() { timeout 60 docker "$@" 9>&-; }
quiet() { engine "$@" >/dev/null 2>&1; }
pause() { sleep "$1" 9>&-; }

# 0 there is such a container, 1 there is none, 2 Docker does not answer.
present() {
  found=$(engine container ls --all --quiet --filter "name=^/$1\$" 2>/dev/null) || return 2
  [ -n "$found" ]
}

absent() {
  present "$1"
  [ $? = 1 ]
}

running() {
  [ "$(engine container inspect --format '{{.State.Running}}' "$1" 2>/dev/null)" = true ]
}

tell() {
  printf '%s %s %s\n' "$id" "$1" "$2" >"$dir/outcome.new" && mv -f "$dir/outcome.new" "$dir/outcome"
}

# The new agent has proved itself. Cut short anywhere, doing it again ends it; at no moment does a boot find no agent.
commit() {
  quiet container update --restart=always "$next" || return 1
  quiet container rm --force "$agent" || absent "$agent" || return 1
  quiet container rename "$next" "$agent"
}

# Takes the new agent away and starts the old one, for as long as it takes Docker to be there again.
restore() {
  until=$(($(date +%s) + 300))
  while [ "$(date +%s)" -lt "$until" ]; do
    if quiet container rm --force "$next" || absent "$next"; then
      if absent "$agent"; then
        tell removed "$1"
        return
      fi
      if quiet container start "$agent" && running "$agent"; then
        tell restored "$1"
        return
      fi
    fi
    pause 1
  done
  tell stuck "$1"
}

# Whether the agent that runs is the one asked for: made of the same things, from what the image tag means now, and healthy.
in_place() {
  absent "$next" || return 1
  wanted=$(engine image inspect --format '{{.Id}}' "$image" 2>/dev/null) || return 1
  look=$(engine container inspect --format '{{index .Config.Labels "xingrin.mark"}} {{.Image}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}} {{.HostConfig.RestartPolicy.Name}}' "$agent" 2>/dev/null) || return 1
  [ "$look" = "$mark $wanted running healthy always" ]
}

# Whether the new agent is of the version that its image tag says. One that does not know counts as right: the tag is all there is.
right_version() {
  rm -f "$dir/version"
  quiet container cp "$next:/opt/agent/VERSION" "$dir/version" || return 0
  built=$(head -c 64 "$dir/version" 2>/dev/null | head -n 1)
  rm -f "$dir/version"
  [ "$built" = "$version" ] && return
  printf 'the image %s holds an agent of version %s\n' "$image" "$built" >"$dir/log"
  return 1
}

recall() {
  known=
  state=unknown
  why=-
  if [ -r "$dir/outcome" ]; then read -r known state why <"$dir/outcome"; fi
}

# Brings what a killed swap left to one of its ends: the restart policy of the new agent says to which.
settle() {
  recall
  present "$next"
  case $? in
    0)
      policy=$(engine container inspect --format '{{.HostConfig.RestartPolicy.Name}}' "$next" 2>/dev/null) || return 1
      if [ "$policy" != always ]; then
        restore killed
      elif commit; then
        tell confirmed -
      else
        return 1
      fi
      ;;
    1)
      case $state in prepared | started) restore killed ;; esac
      ;;
    *) return 1 ;;
  esac
}

# Ends with 0 as soon as the new agent is healthy, else sets why.
proven() {
  end=$(($(date +%s) + $1))
  while [ "$(date +%s)" -lt "$end" ]; do
    look=$(engine container inspect --format '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$next" 2>/dev/null)
    case $look in
      'running healthy') return 0 ;;
      'running unhealthy')
        why=unhealthy
        return 1
        ;;
      exited* | dead*)
        why=exited
        return 1
        ;;
    esac
    pause 1
  done
  why=silent
  return 1
}

# Whether Docker can look often at the start and seldom later (since 25): each look costs a process in the container.
eager() {
  engine version --format '{{.Server.APIVersion}}' 2>/dev/null | {
    IFS=. read -r _ minor && [ "$minor" -ge 44 ] 2>/dev/null
  } && engine container create --help 2>/dev/null | grep -q -e --health-start-interval
}

work() {
  trap '' HUP INT
  : >"$dir/log"
  if eager; then
    set -- --health-start-interval=1s --health-interval=10s --health-retries=2 "$@"
  else
    set -- --health-interval=5s --health-retries=2 "$@"
  fi
  if ! engine container create --name "$next" "$@" >/dev/null 2>"$dir/log"; then
    quiet container rm --force "$next"
    tell kept create
    return
  fi
  if ! right_version; then
    quiet container rm --force "$next"
    tell kept version
    return
  fi
  tell prepared -
  if ! absent "$agent" && ! quiet container stop "$agent" && running "$agent"; then
    quiet container rm --force "$next"
    tell kept stop
    return
  fi
  tell started -
  if ! engine container start "$next" >/dev/null 2>"$dir/log"; then
    restore start
    return
  fi
  if ! proven "$limit"; then
    engine container logs --tail 20 "$next" >"$dir/log" 2>&1
    restore "$why"
    return
  fi
  # Docker may be on its way down: it is asked again, and a swap that dies here is settled by the next one.
  left=60
  while ! commit; do
    left=$((left - 1))
    if [ "$left" = 0 ]; then return; fi
    pause 1
  done
  tell confirmed -
}

lock() {
  mkdir -p "$dir" && exec 9>>"$dir/lock" || return 1
  flock -n 9 && return
  pause 1
  flock -n 9
}

begin() {
  id=$1
  limit=$2
  version=$3
  mark=$4
  image=$5
  shift 5
  if ! lock; then
    other=
    if [ -r "$dir/outcome" ]; then read -r other _ <"$dir/outcome"; fi
    printf 'busy %s\n' "$other"
    return
  fi
  if ! settle; then
    echo refused
    return
  fi
  if in_place; then
    echo inplace
    return
  fi
  tell prepared -
  (work "$@") </dev/null >/dev/null 2>&1 &
  echo begun
}

ask() {
  id=$1
  end=$(($(date +%s) + $2))
  while :; do
    recall
    if [ "$known" != "$id" ]; then state=unknown; fi
    case $state in
      prepared | started) ;;
      *) break ;;
    esac
    # With the lock free nobody is at it any more.
    if (flock -n 8) 8>>"$dir/lock" && lock; then
      recall
      case $known/$state in
        "$id/prepared" | "$id/started") settle || break ;;
      esac
      exec 9>&-
      continue
    fi
    if [ "$(date +%s)" -ge "$end" ]; then break; fi
    pause 0.3 2>/dev/null || pause 1
  done
  printf '%s %s %s\n' "$id" "$state" "$why"
  if [ -r "$dir/log" ]; then tail -n 20 "$dir/log"; fi
}

remove() {
  if ! lock; then
    echo busy
    return
  fi
  found=$(engine container ls --all --quiet --no-trunc --filter "label=$1" --filter "name=^/$agent(-next)?\$") || {
    echo refused
    return
  }
  for each in $found; do
    engine container rm --force "$each" >/dev/null || {
      echo refused
      return
    }
  done
  exec 9>&-
  rm -f "$dir/outcome" "$dir/outcome.new" "$dir/log" "$dir/lock"
  rmdir "$dir" 2>/dev/null
  echo removed
}

main() {
  what=$1
  shift
  case $what in
    begin) begin "$@" ;;
    ask) ask "$@" ;;
    remove) remove "$@" ;;
  esac
}
`;
