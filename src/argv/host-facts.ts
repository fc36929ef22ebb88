import { AGENT_CONTAINER } from './agent.ts';

/**
 * Prints what is so on a host, a fact a line: its name, a space, its value. Nothing it asks can hold it up for long, nothing that is
 * missing ends it, and it changes nothing. Arguments are images to look for.
 */
const SCRIPT = `
say() { printf '%s %s\\n' "$1" "$2"; }
if command -v timeout >/dev/null 2>&1; then limit() { timeout 15 "$@"; }; else limit() { "$@"; }; fi
disk() {
  say blocks "$(df -P -k "$1" 2>/dev/null | awk 'NR == 2 { print $2, $4 }')"
  say inodes "$(df -P -i "$1" 2>/dev/null | awk 'NR == 2 { print $2, $4 }')"
}
ask() { limit docker "$@" 2>/dev/null | tr -d '\\n'; }
main() {
  say clock "$(date +%s)"
  # Without an engine: where it would be.
  if ! command -v docker >/dev/null 2>&1; then say docker absent; disk /var/lib; exit 0; fi
  say engine "$(ask info --format '{{json .}}')"
  socket=/var/run/docker.sock
  if [ -z "\${DOCKER_HOST:-}" ] && [ -S "$socket" ] && [ ! -w "$socket" ]; then say docker denied; exit 0; fi
  say compose "$(ask compose version --short)"
  root=$(ask info --format '{{.DockerRootDir}}')
  if [ -n "$root" ]; then disk "$root"; fi
  say agent "$(ask container inspect ${AGENT_CONTAINER})"
  for image; do say image "$(ask image inspect --format '{"id":{{json .Id}},"digests":{{json .RepoDigests}},"size":{{.Size}}}' "$image")"; done
  say images "$(limit docker image ls --format '{{.Repository}}:{{.Tag}}' 2>/dev/null | tr '\\n' ' ')"
}
main "$@"
`;

/** A program for a connection, with what it reads. */
export interface Script {
  readonly argv: readonly string[];
  readonly input: string;
}

export function hostFacts(images: readonly string[]): Script {
  return { argv: ['sh', '-s', '--', ...images], input: SCRIPT };
}

/** For each address: who asked, its exit code, the HTTP status; `none` where there is nothing to ask with. */
const PROBE = `
main() {
  place=$1
  lax=$2
  shift 2
  for url; do
    ca=/etc/docker/certs.d/$place/ca.crt
    if command -v curl >/dev/null 2>&1; then
      set --
      if [ -r "$ca" ]; then set -- --cacert "$ca"; fi
      if [ "$lax" = yes ]; then set -- --insecure; fi
      status=$(curl --silent --output /dev/null --max-time 8 --write-out '%{http_code}' "$@" "$url")
      printf 'curl %s %s\\n' "$?" "$status"
    elif command -v wget >/dev/null 2>&1; then
      wget -q -T 8 -O /dev/null "$url"
      printf 'wget %s\\n' "$?"
    else
      printf 'none\\n'
    fi
  done
}
main "$@"
`;

/**
 * Asks from a host whether a registry can be reached.
 *
 * @param registry as Docker's folder of certificates is called
 * @param lax whether the engine there has been told that it need not show a certificate
 */
export function probe(registry: string, lax: boolean, urls: readonly string[]): Script {
  return { argv: ['sh', '-s', '--', registry, lax ? 'yes' : 'no', ...urls], input: PROBE };
}
