import type { Place } from './completion-places.ts'

/** Where no word is known, bash goes on with file names. */
export function bashCompletion(places: readonly Place[]): string {
  return `# Completes cpns in bash. Load it: source <(cpns completion bash); or keep it as a file:
#   cpns completion bash > ~/.local/share/bash-completion/completions/cpns
_cpns() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} place= words= index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "$place \${COMP_WORDS[index]}" in
${alternatives(places.slice(1).map(({ path }) => path))}) place="$place \${COMP_WORDS[index]}" ;;
    esac
  done
  case "$place $previous" in
${places.flatMap(valuesAt).join('\n')}
    *)
      case "$place" in
${places.map(wordsAt).join('\n')}
      esac
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _cpns cpns`
}

const alternatives = (paths: readonly string[]): string => `      ${paths.map(quoted).join(' | \\\n      ')}`

/** After an option that takes a value: what it may be. */
function valuesAt({ path, options }: Place): string[] {
  const taking = options.filter(({ takes }) => takes !== 'nothing')
  return taking.map(({ name, takes }) => {
    const words = typeof takes === 'string' ? [] : takes
    return `    ${quoted(`${path} ${name}`)}) words=${quoted(words.join(' '))} ;;`
  })
}

function wordsAt({ path, commands, options, words }: Place): string {
  const names = [...commands.map(({ name }) => name), ...words]
  const optionNames = options.map(({ name }) => name)
  return `        ${quoted(path)})
          words=${quoted(names.join(' '))}
          [[ $current == -* ]] && words=${quoted(optionNames.join(' '))}
          ;;`
}

/** As one word of a shell, whatever is in it. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
