import type { Place } from './completion-places.ts'

/** With what each word means beside it; where no word is known fish goes on with file names. */
export function fishCompletion(places: readonly Place[]): string {
  return `# Completes cpns in fish. Load it: cpns completion fish | source; or keep it as a file:
#   cpns completion fish > ~/.config/fish/completions/cpns.fish
function __cpns_at --argument-names wanted
  set --local place ''
  for word in (commandline --tokenize --cut-at-cursor --current-process)[2..]
    switch "$place $word"
      case ${places
        .slice(1)
        .map(({ path }) => quoted(path))
        .join(' ')}
        set place "$place $word"
    end
  end
  test "$place" = "$wanted"
end
${places.flatMap(completionsAt).join('\n')}`
}

function completionsAt({ path, commands, options, words }: Place): string[] {
  const here = `complete --command cpns --condition ${quoted(`__cpns_at ${quoted(path)}`)}`
  return [
    ...commands.map(
      ({ name, description }) => `${here} --no-files --arguments ${quoted(name)} --description ${quoted(description)}`,
    ),
    ...words.map(word => `${here} --no-files --arguments ${quoted(word)}`),
    ...options.map(({ name, description, takes }) => {
      const kind = name.startsWith('--') ? `--long-option ${name.slice(2)}` : `--short-option ${name.slice(1)}`
      const value = takes === 'nothing' ? '' : ' --require-parameter'
      const choices = typeof takes === 'string' ? '' : ` --arguments ${quoted(takes.join(' '))}`
      return `${here} ${kind}${value}${choices} --description ${quoted(description)}`
    }),
  ]
}

/** As one word of fish, in whose quotes a backslash counts. */
const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
