import type { Command } from 'commander'

/*
 * What each command looks like in use: `--help` ends with it. A test holds it against the commands that there are, and against what
 * they take.
 */

/** By the words of the command, without `cpns`. */
export const examples: Readonly<Record<string, readonly string[]>> = {
  init: [
    'cpns init a --operator a.example',
    'cpns init eu-2 --operator a.example --join oBWPeKKNoGuvHDXUmBYM_79Ma1waDDqdwTpwE5Fmbwk',
  ],
  start: ['cpns start --config a/cpns.toml', 'cpns start --config a/cpns.toml --set log.level=debug'],
  'config check': ['cpns config check --config a/cpns.toml'],
  'config print': ['cpns config print --effective --config a/cpns.toml'],
  'config schema': ['cpns config schema > cpns.schema.json'],
  doctor: ['cpns doctor --config a/cpns.toml'],
  status: ['cpns status --config a/cpns.toml', 'cpns status --json --config a/cpns.toml'],
  backup: [
    'cpns backup --to a.backup --config a/cpns.toml',
    'cpns backup --to - --config a/cpns.toml | ssh safe tee a.backup',
  ],
  restore: ['cpns restore a.backup --check', 'cpns restore a.backup --data a2'],
  verify: ['cpns verify --config a/cpns.toml', 'cpns verify --repair --config a/cpns.toml'],
  drain: ['cpns drain --within 60s --config a/cpns.toml'],
  reload: ['cpns reload --config a/cpns.toml'],
  'log-level': ['cpns log-level --config a/cpns.toml', 'cpns log-level debug --for 10m --config a/cpns.toml'],
  events: ['cpns events', 'cpns events link'],
  limits: ['cpns limits --config a/cpns.toml'],
  'trace client': ['cpns trace client alice --for 5m --config a/cpns.toml'],
  'trace peer': ['cpns trace peer b.example --to log --config a/cpns.toml'],
  'trace list': ['cpns trace list --config a/cpns.toml'],
  'trace end': ['cpns trace end 3 --config a/cpns.toml'],
  'peer list': ['cpns peer list --config a/cpns.toml'],
  'peer trust': ['cpns peer trust b/manifest.json --config a/cpns.toml'],
  'peer revoke': ['cpns peer revoke b.example --config a/cpns.toml'],
  'peer quarantine': ['cpns peer quarantine b.example --why "It floods." --config a/cpns.toml'],
  'peer release': ['cpns peer release b.example --config a/cpns.toml'],
  'peer evidence': ['cpns peer evidence --config a/cpns.toml', 'cpns peer evidence --verify b.evidence'],
  'manifest show': ['cpns manifest show b/manifest.json', 'cpns manifest show --config a/cpns.toml'],
  'manifest sign': [
    'cpns manifest sign --config a/cpns.toml',
    'cpns manifest sign --add eu-2/server.json --config a/cpns.toml',
  ],
  'manifest rotate': [
    'cpns manifest rotate --new-root-key keys/root-2.key --config a/cpns.toml',
    'cpns manifest rotate --server --config a/cpns.toml',
  ],
  'manifest cosign': ['cpns manifest cosign manifest.draft.json --root-key root.key'],
  'manifest install': ['cpns manifest install manifest.draft.json --config a/cpns.toml'],
  'subscriber add': [
    'cpns subscriber add owner --config a/cpns.toml',
    'cpns subscriber add front --right provision deposit --config a/cpns.toml',
  ],
  'subscriber list': ['cpns subscriber list --config a/cpns.toml'],
  'subscriber show': ['cpns subscriber show owner --config a/cpns.toml'],
  'subscriber remove': ['cpns subscriber remove owner --config a/cpns.toml'],
  'subscriber rekey': ['cpns subscriber rekey --config a/cpns.toml'],
  'secret export': ['cpns secret export --to eu-2/server.json --out bundle.json --config a/cpns.toml'],
  'secret import': ['cpns secret import bundle.json --config eu-2/cpns.toml'],
  'token create': ['cpns token create night --scope operate --for 12h --config a/cpns.toml'],
  'token list': ['cpns token list --config a/cpns.toml'],
  'token revoke': ['cpns token revoke night --config a/cpns.toml'],
  'user add': ['cpns user add u-4711 --address tel:+4930123456 --subscriber alice'],
  'user list': ['cpns user list'],
  'user show': ['cpns user show u-4711'],
  'user remove': ['cpns user remove u-4711'],
  'mailbox list': ['cpns mailbox list --config a/cpns.toml'],
  'mailbox show': ['cpns mailbox show u-4711 --config a/cpns.toml'],
  'mailbox export': ['cpns mailbox export u-4711 u-4711.mbox', 'cpns mailbox export u-4711 u-4711.zip --format zip'],
  'mailbox import': ['cpns mailbox import u-4711 u-4711.mbox'],
  'pn list': ['cpns pn list --config a/cpns.toml'],
  'pn show': ['cpns pn show home --said --config a/cpns.toml'],
  'document list': ['cpns document list pn/a.example/ --config a/cpns.toml'],
  'document show': ['cpns document show pn/a.example/home --content --config a/cpns.toml'],
  'document history': ['cpns document history pn/a.example/home --limit 10 --config a/cpns.toml'],
  'policy show': ['cpns policy show > policy.toml'],
  'policy set': ['cpns policy set policy.toml'],
  'support-bundle': ['cpns support-bundle --log a.log --config a/cpns.toml'],
  simulate: ['cpns simulate partition --out results', 'cpns simulate swarm --seeds 1..100'],
  'simulate list': ['cpns simulate list'],
  'simulate verify': ['cpns simulate verify partition --seed 7'],
  'simulate validate': ['cpns simulate validate --share 0.1'],
  'simulate shrink': ['cpns simulate shrink swarm --seed 7 --out small.json'],
  'simulate schema': ['cpns simulate schema > scenario.schema.json'],
  bench: ['cpns bench --on a/data', 'cpns bench --for 10s --json'],
  completion: ['source <(cpns completion bash)'],
}

/** Has a command's help end with what it looks like in use. */
export function withExamples(command: Command, words: readonly string[]): void {
  const lines = examples[words.join(' ')] ?? []
  if (lines.length === 0) return
  command.addHelpText(
    'after',
    `\n${lines.length === 1 ? 'Example' : 'Examples'}:\n${lines.map(line => `  ${line}`).join('\n')}`,
  )
}
