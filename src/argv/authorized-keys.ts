/** In a POSIX shell, told the line as $1: where the keys are that let somebody in as this user. */
const FILE = 'file=$HOME/.ssh/authorized_keys';

/** Ends with 0 if the public key lets its owner in as the user that runs this, with 1 if not. */
export function hasKeyArgv(publicKey: string): string[] {
  return script([FILE, 'grep -qxF -- "$1" "$file" 2>/dev/null'], publicKey);
}

/** Lets the owner of a public key in as the user that runs this. Every other line stays; also where the last had no end. */
export function addKeyArgv(publicKey: string): string[] {
  return script(
    [
      'set -eu',
      'umask 077',
      FILE,
      'mkdir -p "$HOME/.ssh"',
      'grep -qxF -- "$1" "$file" 2>/dev/null && exit 0',
      'if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then echo >> "$file"; fi',
      'printf "%s\\n" "$1" >> "$file"',
      'grep -qxF -- "$1" "$file"',
      // Where SELinux is, a file made by hand has the wrong label for sshd.
      'command -v restorecon > /dev/null && restorecon -R "$HOME/.ssh" || :',
    ],
    publicKey,
  );
}

/** Takes the key away again, at once or not at all; every other line stays, and so do the file's owner and mode. */
export function removeKeyArgv(publicKey: string): string[] {
  return script(
    [
      'set -eu',
      'umask 077',
      FILE,
      '[ -f "$file" ] || exit 0',
      'file=$(readlink -f "$file")',
      'kept=$(mktemp "$file.XXXXXX")',
      `trap 'rm -f "$kept"' EXIT`,
      'cp -p "$file" "$kept"',
      'grep -vxF -- "$1" "$file" > "$kept" || [ "$?" -eq 1 ]',
      'sync',
      'mv -f "$kept" "$file"',
      'command -v restorecon > /dev/null && restorecon "$file" || :',
    ],
    publicKey,
  );
}

function script(lines: readonly string[], publicKey: string): string[] {
  return ['sh', '-c', lines.join('\n'), 'sh', publicKey];
}
