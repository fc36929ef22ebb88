/** What {@link installDocker} ends with where sudo wants to know who is asking. */
export const SUDO_ASKS = 77;
/** … and where no package manager that we know is there. */
export const NO_PACKAGES = 78;

/**
 * Installs Docker from the distribution's packages, starts it and waits for it; nothing where it answers already. As root, or with a sudo
 * that does not ask.
 */
const INSTALL = `
main() {
  if docker version >/dev/null 2>&1; then exit 0; fi
  if [ "$(id -u)" = 0 ]; then as=; elif sudo -n true 2>/dev/null; then as='sudo -n'; else exit ${SUDO_ASKS}; fi
  if ! command -v dockerd >/dev/null 2>&1 || ! command -v docker >/dev/null 2>&1; then
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
  { $as systemctl enable --now docker || $as rc-update add docker && $as rc-service docker start || $as service docker start; } >/dev/null 2>&1
  if [ -n "$as" ]; then $as usermod -aG docker "$(id -un)" || exit 1; fi
  left=30
  until $as docker version >/dev/null 2>&1; do
    left=$((left - 1))
    if [ "$left" = 0 ]; then echo 'the daemon does not answer' >&2; exit 1; fi
    sleep 1
  done
}
main "$@"
`;

export function installDocker(): { readonly argv: readonly string[]; readonly input: string } {
  return { argv: ['sh', '-s'], input: INSTALL };
}

/** Prints `Linux x86_64`. */
export function askMachine(): string[] {
  return ['uname', '-s', '-m'];
}
