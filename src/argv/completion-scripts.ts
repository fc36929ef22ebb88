/** The shells that words are completed in. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/**
 * What a shell reads so that it completes our words. Each asks xingrin itself, with the words as they are typed: what it knows is
 * therefore always what the installed version knows.
 */
export function completionScript(shell: Shell): string {
  return SCRIPTS[shell];
}

const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `# xingrin completion bash: add to ~/.bashrc:  source <(xingrin completion bash)
_xingrin() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    line=\${line%%$'\\t'*}
    # What stands before the sign is typed already: bash takes the words apart there.
    case $line in --*=*) line=\${line#*=} ;; esac
    COMPREPLY+=("$line")
  done < <("$1" completion --words -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _xingrin xingrin`,
  zsh: `#compdef xingrin
# xingrin completion zsh: add to ~/.zshrc, after compinit:  source <(xingrin completion zsh)
_xingrin() {
  local line
  local -a found
  while IFS= read -r line; do
    if [[ $line == *$'\\t'* ]]; then
      found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
    else
      found+=("\${line//:/\\\\:}")
    fi
  done < <("\${words[1]}" completion --words -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#found} )); then
    _describe 'xingrin' found
  else
    _files
  fi
}
if [[ \${funcstack[1]} == _xingrin ]]; then
  _xingrin "$@"
else
  compdef _xingrin xingrin
fi`,
  fish: `# xingrin completion fish: xingrin completion fish > ~/.config/fish/completions/xingrin.fish
function __xingrin_words
    set -l typed (commandline -opc)
    set -l program $typed[1]
    set -e typed[1]
    command $program completion --words -- $typed (commandline -ct) 2>/dev/null
end
complete -c xingrin -f -a '(__xingrin_words)'
complete -c xingrin -s C -l project -r -a '(__fish_complete_directories)'
complete -c xingrin -n '__fish_seen_subcommand_from add' -l identity -r -F`,
};
