/** What {@link installDocker} ends with where sudo wants to know who is asking. */
export const SUDO_ASKS = 77;
/** … and where no package manager that we know is there. */
export const NO_PACKAGES = 78;

/** Lets the user use Docker, where sudo lets it. */
const JOIN = `
join() {
  me=$(id -un)
  getent group docker >/dev/null || $as groupadd --system docker || exit 1
  $as usermod -aG docker "$me" || exit 1
}
`;

/** Nothing where the user may use Docker already. */
const ALLOW = `
main() {
  if docker version >/dev/null 2>&1; then exit 0; fi
  as='sudo -n'
  if ! $as true 2>/dev/null; then exit ${SUDO_ASKS}; fi
  $as docker version >/dev/null || exit 1
  join
  # As a login does: with the groups that it has by now.
  $as -u "$me" docker version >/dev/null
}
${JOIN}
main "$@"
`;

/**
 * Installs Docker from the distribution's packages, starts it and waits for it; nothing where it answers already. As root, or with a sudo
 * that does not ask. The first argument is what a new engine is set up with; empty for nothing.
 */
const INSTALL = `
main() {
  if docker version >/dev/null 2>&1; then exit 0; fi
  if [ "$(id -u)" = 0 ]; then as=; elif sudo -n true 2>/dev/null; then as='sudo -n'; else exit ${SUDO_ASKS}; fi
  if ! command -v dockerd >/dev/null 2>&1 || ! command -v docker >/dev/null 2>&1; then
    # Before there is an engine to read it: whatever comes in between, the engine begins with it.
    if [ -n "$1" ] && [ ! -e /etc/docker/daemon.json ]; then
      $as mkdir -p /etc/docker && printf '%s\n' "$1" | $as tee /etc/docker/daemon.json.new >/dev/null &&
        $as mv /etc/docker/daemon.json.new /etc/docker/daemon.json || exit 1
    fi
    if command -v apt-get >/dev/null 2>&1; then
      apt="$as env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -qq -o DPkg::Lock::Timeout=300"
      $apt update
      $apt install --yes --no-install-recommends docker.io || exit 1
      command -v docker >/dev/null 2>&1 || $apt install --yes --no-install-recommends docker-cli || exit 1
    elif command -v dnf >/dev/null 2>&1; then
      $as dnf -y -q install moby-engine || $as dnf -y -q install docker || exit 1
    elif command -v zypper >/dev/null 2>&1; then $as zypper --non-interactive --quiet install docker || exit 1
    elif command -v apk >/dev/null 2>&1; then $as apk add --quiet docker || exit 1
    else exit ${NO_PACKAGES}
    fi
  fi
  if [ -n "$as" ]; then join; fi
  said=$(start 2>&1)
  left=30
  until $as docker version >/dev/null 2>&1; do
    left=$((left - 1))
    if [ "$left" = 0 ]; then printf '%s\n' "$said" 'the daemon does not answer' >&2; exit 1; fi
    sleep 1
  done
  # As a login does: with the groups that it has by now.
  if [ -n "$as" ] && ! sudo -n -u "$me" docker version >/dev/null; then exit 1; fi
}
start() {
  if [ -d /run/systemd/system ]; then $as systemctl enable docker; $as systemctl start docker
  elif command -v rc-service >/dev/null 2>&1; then $as rc-update add docker; $as rc-service docker start
  else $as service docker start
  fi
}
${JOIN}
main "$@"
`;

/** @param mirrors where a new engine looks for images of Docker Hub first; one that has settings keeps them */
export function installDocker(mirrors: readonly string[]): {
  readonly argv: readonly string[];
  readonly input: string;
} {
  const settings = mirrors.length === 0 ? '' : JSON.stringify({ 'registry-mirrors': mirrors });
  return { argv: ['sh', '-s', '--', settings], input: INSTALL };
}

/** Lets the user over there use the Docker that runs there, by group, where sudo asks for nothing. */
export function allowDocker(): { readonly argv: readonly string[]; readonly input: string } {
  return { argv: ['sh', '-s'], input: ALLOW };
}

/** Ends with 0 where sudo asks this user for nothing. */
export function trySudo(): string[] {
  return ['sudo', '-n', 'true'];
}

/** Prints `Linux x86_64`. */
export function askMachine(): string[] {
  return ['uname', '-s', '-m'];
}
