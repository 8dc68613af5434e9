import { quoted } from './completion-bash.ts'
import type { Completed, Place } from './completion-places.ts'

/** With what each word means beside it; where no word is known zsh goes on with file names. */
export function zshCompletion(places: readonly Place[]): string {
  return `#compdef cpns
# Completes cpns in zsh. Load it: source <(cpns completion zsh); or keep it as a file _cpns in a folder of $fpath.
_cpns() {
  local place= word
  local -a known options
  for word in \${words[2,CURRENT-1]}; do
    case "$place $word" in
      ${places
        .slice(1)
        .map(({ path }) => quoted(path))
        .join(' | \\\n      ')}) place="$place $word" ;;
    esac
  done
  case "$place \${words[CURRENT-1]}" in
${places.flatMap(valuesAt).join('\n')}
  esac
  case "$place" in
${places.map(wordsAt).join('\n')}
  esac
  if [[ \${words[CURRENT]} == -* ]]; then _describe option options
  elif (( \${#known} )); then _describe command known
  else _files
  fi
}
if [[ "\${funcstack[1]}" == _cpns ]]; then _cpns; else compdef _cpns cpns; fi`
}

function valuesAt({ path, options }: Place): string[] {
  const taking = options.filter(({ takes }) => takes !== 'nothing')
  return taking.map(({ name, takes }) => {
    const offered = typeof takes === 'string' ? '_files' : `compadd -- ${takes.map(quoted).join(' ')}`
    return `    ${quoted(`${path} ${name}`)}) ${offered}; return ;;`
  })
}

function wordsAt({ path, commands, options, words }: Place): string {
  const known = [...commands, ...words.map(name => ({ name, description: '' }))]
  return `    ${quoted(path)})
      known=(${known.map(described).join(' ')})
      options=(${options.map(described).join(' ')})
      ;;`
}

/** A colon divides a word from what it means. */
const described = ({ name, description }: Completed): string =>
  quoted(description === '' ? name : `${name.replaceAll(':', '\\:')}:${description}`)
