/** What {@link installDocker} ends with where sudo wants to know who is asking. */
export const SUDO_ASKS = 77;
/** … and where no package manager that we know is there. */
export const NO_PACKAGES = 78;
/** … and where the distribution has no Docker and Docker's own repository does not answer. */
export const NO_DOCKER = 79;

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

/** Where Docker has packages of its own: one folder for each distribution. */
const OWN_PACKAGES = 'https://download.docker.com/linux';

/**
 * Docker from the distribution's packages, or, where that has none, from Docker's own repository; its source stays only if it served.
 * "docker" of Red Hat's family is no Docker at all (it is podman's stand-in), and is not tried.
 */
const PACKAGES = `
packages() {
  [ ! -r /etc/os-release ] || . /etc/os-release
  if command -v apt-get >/dev/null 2>&1; then with_apt
  elif command -v dnf >/dev/null 2>&1; then with_dnf
  else exit ${NO_PACKAGES}
  fi
}
with_apt() {
  apt="$as env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -qq -o DPkg::Lock::Timeout=300"
  engine='docker-ce docker-ce-cli containerd.io'
  $apt update
  if offered docker.io; then
    $apt install --yes --no-install-recommends docker.io || return 1
    command -v docker >/dev/null 2>&1 || $apt install --yes --no-install-recommends docker-cli
    return
  fi
  if offered docker-ce; then $apt install --yes --no-install-recommends $engine; return; fi
  case " $ID \${ID_LIKE-} " in
    *' ubuntu '*) own=${OWN_PACKAGES}/ubuntu; release=\${UBUNTU_CODENAME-$VERSION_CODENAME} ;;
    *) own=${OWN_PACKAGES}/debian; release=\${DEBIAN_CODENAME-$VERSION_CODENAME} ;;
  esac
  key=$(fetch "$own/gpg") || exit ${NO_DOCKER}
  echo "$key" | put /etc/apt/keyrings/docker.asc || return 1
  echo "deb [signed-by=/etc/apt/keyrings/docker.asc] $own $release stable" | put /etc/apt/sources.list.d/docker.list || return 1
  $apt update
  if $apt install --yes --no-install-recommends $engine; then return; fi
  $as rm -f /etc/apt/sources.list.d/docker.list /etc/apt/keyrings/docker.asc
  return 1
}
offered() {
  LC_ALL=C apt-cache policy "$1" | grep -q 'Candidate: [0-9]'
}
with_dnf() {
  engine='docker-ce docker-ce-cli containerd.io'
  case " $ID \${ID_LIKE-} " in
    ' fedora '*) $as dnf -y -q install moby-engine; return ;;
    ' rhel '*) own=${OWN_PACKAGES}/rhel ;;
    *) own=${OWN_PACKAGES}/centos ;;
  esac
  if $as dnf -y -q install $engine 2>/dev/null; then return; fi
  source=$(fetch "$own/docker-ce.repo") || exit ${NO_DOCKER}
  echo "$source" | put /etc/yum.repos.d/docker-ce.repo || return 1
  if $as dnf -y -q install $engine; then return; fi
  $as rm -f /etc/yum.repos.d/docker-ce.repo
  return 1
}
fetch() {
  if command -v curl >/dev/null 2>&1; then curl -fsSL --proto =https --max-time 60 "$1"; else wget -q -T 60 -O - "$1"; fi
}
put() {
  $as mkdir -p "\${1%/*}" && $as tee "$1.new" >/dev/null && $as mv "$1.new" "$1"
}
`;

/**
 * Installs Docker, starts it and waits for it; nothing where it answers already. As root, or with a sudo that does not ask. The first
 * argument is what a new engine is set up with; empty for nothing.
 */
const INSTALL = `
main() {
  if docker version >/dev/null 2>&1; then exit 0; fi
  if [ "$(id -u)" = 0 ]; then as=; elif sudo -n true 2>/dev/null; then as='sudo -n'; else exit ${SUDO_ASKS}; fi
  if ! command -v dockerd >/dev/null 2>&1 || ! command -v docker >/dev/null 2>&1; then
    # Before there is an engine to read it: whatever comes in between, the engine begins with it.
    if [ -n "$1" ] && [ ! -e /etc/docker/daemon.json ]; then echo "$1" | put /etc/docker/daemon.json || exit 1; fi
    packages || exit 1
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
${JOIN}${PACKAGES}
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
