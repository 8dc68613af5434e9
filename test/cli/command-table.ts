import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { controlSocketName } from '../../src/adapters/control-socket.ts'
import { thisHost } from '../../src/adapters/host.ts'
import { connect, operatorId, pnEstablish, serverId } from '../../src/client/node.ts'
import { until } from '../fixtures/until.ts'
import { cpnsHere, type Ran } from './in-process.ts'

/*
 * Every command at work, and what it refuses: at a server that runs, at one that does not, and at none. The order counts: what one command
 * has made others need.
 */

/** Has the subscriber make a Personal Network. */
async function establishedHome(): Promise<void> {
  const session = await connect({
    urls: [places['@url'] ?? ''],
    servers: [serverId(places['@server'] ?? '')],
    operator: operatorId('a.example'),
    identity: 'front',
    credential: { kind: 'psk', key: new Uint8Array(32).fill(7) },
    reconnect: false,
  })
  await session.call(pnEstablish, { commandId: 'home-is-made-once', alias: 'Our home', pnId: 'home' })
  session.close()
}

/** Where what words in the table stand for is. */
export const places: Record<string, string> = {}

const wordsIn = (line: Line): string[] =>
  line.split(' ').map(word =>
    word.replace(/^@\w+/, name => {
      const place = places[name]
      if (place === undefined) throw new Error(`${name} is nowhere.`)
      return place
    }),
  )
export const run: Run = line => cpnsHere(...wordsIn(line))

/** What a command is given. Words that begin with `@` stand for places and names of the world that the test makes. */
type Line = string

/** A command at work, and what it refuses: exit code 1 unless said otherwise. */
export interface Shown {
  readonly does: Line | ((run: Run) => Promise<Ran>)
  readonly says: RegExp
  readonly refuses: Line
  readonly because: RegExp
  readonly code?: number
}
type Run = (line: Line) => Promise<Ran>

const running = '--config @running/cpns.toml'
const stopped = '--config @stopped/cpns.toml'
const nowhere = '--config @folder/nothing.toml'
const noFile = /no such file/
/** A client of the server that runs, for which `subscriber add` has made a subscriber. */
const client = '--url @url --server @server --operator a.example --identity front'
const noUser = /knows of no user/

/** By the words of the command; in this order. */
export const table: Readonly<Record<string, Shown>> = {
  init: {
    does: 'init @stopped --operator c.example --listen /ip4/127.0.0.1/tcp/0 --client-port 0',
    says: /Root fingerprint [\w-]{43}\n.*Move/,
    refuses: 'init @stopped --operator c.example',
    because: /is there already; choose another folder/,
  },
  'config check': {
    does: `config check ${stopped}`,
    says: /is in order/,
    refuses: `config check ${nowhere}`,
    because: noFile,
  },
  'config print': {
    does: `config print --effective ${stopped}`,
    says: /operator = "c\.example"/,
    refuses: `config print --set clients.prot=1 ${stopped}`,
    because: /did you mean "clients\.port"/,
  },
  'config schema': {
    does: 'config schema',
    says: /"\$schema"/,
    refuses: 'config schema more',
    because: /too many arguments/,
    code: 2,
  },
  doctor: {
    does: `doctor ${stopped}`,
    says: /✓ settings/,
    refuses: `doctor --json --set clients.port=99999 ${stopped}`,
    because: /clients\.port/,
  },
  'subscriber add': {
    does: `subscriber add front --psk @psk --right provision deposit ${running}`,
    says: /"rights":\["provision","deposit"\]/,
    refuses: `subscriber add front ${running}`,
    because: /front/,
  },
  'subscriber list': {
    does: `subscriber list ${running}`,
    says: /^front +psk +deposit, provision$/m,
    refuses: `subscriber list ${nowhere}`,
    because: noFile,
  },
  'subscriber show': {
    does: `subscriber show owner ${running}`,
    says: /kind: psk/,
    refuses: `subscriber show nobody ${running}`,
    because: /cpns subscriber list/,
  },
  'subscriber remove': {
    does: `subscriber remove owner ${running}`,
    says: /Removed owner/,
    refuses: `subscriber remove owner ${running}`,
    because: /no subscriber owner/,
  },
  'subscriber rekey': {
    does: `subscriber rekey ${running}`,
    says: /is new/,
    refuses: `subscriber rekey --lock ${running}`,
    because: /CPNS_NEW_PASSPHRASE|CPNS_PASSPHRASE/,
  },
  status: {
    does: `status ${running}`,
    says: /state +serving/,
    refuses: `status ${stopped}`,
    because: /cpns start starts it/,
  },
  reload: {
    does: `reload ${running}`,
    says: /SETTING|No setting/,
    refuses: `reload ${stopped}`,
    because: /No node runs there/,
  },
  'log-level': {
    does: `log-level error ${running}`,
    says: /^error/,
    refuses: `log-level loud ${running}`,
    because: /Allowed choices/,
    code: 2,
  },
  events: { does: 'events node', says: /node\.ready/, refuses: 'events nothing', because: /cpns events lists/ },
  limits: { does: `limits ${running}`, says: /documents|clients/i, refuses: `limits ${nowhere}`, because: noFile },
  'trace client': {
    does: `trace client front --for 1s ${running}`,
    says: /is traced until/,
    refuses: `trace client front --for soon ${running}`,
    because: /expected|such as/,
    code: 2,
  },
  'trace peer': {
    does: `trace peer b.example --to log ${running}`,
    says: /cpns trace end/,
    refuses: `trace peer b.example ${stopped}`,
    because: /No node runs there/,
  },
  'trace list': {
    does: `trace list ${running}`,
    says: /b\.example/,
    refuses: `trace list ${stopped}`,
    because: /No node runs there/,
  },
  'trace end': {
    async does(run) {
      const { id } = JSON.parse((await run(`trace client front --to log --json ${running}`)).stdout)
      return run(`trace end ${id} ${running}`)
    },
    says: /has ended/,
    refuses: `trace end none ${running}`,
    because: /none/,
  },
  'peer list': {
    does: `peer list ${running}`,
    says: /b\.example +good/,
    refuses: `peer list ${nowhere}`,
    because: noFile,
  },
  'peer trust': {
    does: `peer trust @other/manifest.json ${stopped}`,
    says: /b\.example is trusted/,
    refuses: `peer trust @stopped/manifest.json ${stopped}`,
    because: /own operator/,
  },
  'peer revoke': {
    does: `peer revoke b.example ${stopped}`,
    says: /trusted no longer/,
    refuses: `peer revoke b.example ${stopped}`,
    because: /cpns peer list/,
  },
  'peer quarantine': {
    does: `peer quarantine b.example --why floods ${running}`,
    says: /cpns peer release/,
    refuses: `peer quarantine d.example --why floods ${running}`,
    because: /not trusted/,
  },
  'peer release': {
    does: `peer release b.example ${running}`,
    says: /is released/,
    refuses: `peer release b.example ${running}`,
    because: /not in quarantine/,
  },
  'peer evidence': {
    does: `peer evidence ${running}`,
    says: /There is none/,
    refuses: `peer evidence --verify @other/manifest.json ${running}`,
    because: /evidence/,
  },
  'manifest show': {
    does: `manifest show ${stopped}`,
    says: /Manifest 1 of c\.example/,
    refuses: 'manifest show @stopped/cpns.toml',
    because: /manifest/i,
  },
  'manifest sign': {
    does: `manifest sign --json ${stopped}`,
    says: /"seq":2,"state":"in force"/,
    refuses: `manifest sign --remove @server ${stopped}`,
    because: /is no server of manifest 2/,
  },
  'manifest rotate': {
    does: `manifest rotate --new-root-key @folder/root-2.key --new-root-public @key --threshold 2 ${stopped}`,
    says: /lacks signatures[\s\S]*cpns manifest cosign/,
    refuses: `manifest rotate ${stopped}`,
    because: /Say what to rotate/,
  },
  'manifest cosign': {
    does: 'manifest cosign @stopped/manifest.draft.json --root-key @folder/root-2.key',
    says: /signatures/,
    refuses: 'manifest cosign @stopped/manifest.draft.json',
    because: /--root-key FILE/,
  },
  'manifest install': {
    does: `manifest install @stopped/manifest.json ${stopped}`,
    says: /Manifest 2/,
    refuses: `manifest install @other/manifest.json ${stopped}`,
    because: /of b\.example, not of c\.example/,
  },
  'secret export': {
    async does(run) {
      assert.is((await run('init @joining --operator c.example --join @root')).code, 0)
      assert.is((await run(`manifest sign --add @joining/server.json ${stopped}`)).code, 0)
      return run(`secret export --to @joining/server.json --out @folder/bundle.json ${stopped}`)
    },
    says: /Sealed to/,
    refuses: `secret export --to @other/server.json --out @folder/x.json ${stopped}`,
    because: /cpns manifest sign --add/,
  },
  'secret import': {
    does: 'secret import @folder/bundle.json --config @joining/cpns.toml',
    says: /are in place/,
    refuses: `secret import @folder/bundle.json ${stopped}`,
    because: /is for server/,
  },
  'token create': {
    does: `token create night --for 1h ${running}`,
    says: /^cpns_/,
    refuses: `token create night ${running}`,
    because: /cpns token revoke night/,
  },
  'token list': {
    does: `token list ${running}`,
    says: /^night .*read/m,
    refuses: `token list ${nowhere}`,
    because: noFile,
  },
  'token revoke': {
    does: `token revoke night ${running}`,
    says: /any more/,
    refuses: `token revoke night ${running}`,
    because: /cpns token list/,
  },
  'user add': {
    does: `user add u1 --address tel:+4930123456 --subscriber front ${client}`,
    says: /u1 of a\.example/,
    refuses: `user add u2 --address nonsense --subscriber front ${client}`,
    because: /expected a CPM address/,
  },
  'user list': { does: `user list ${client}`, says: /^u1$/m, refuses: 'user list', because: /CPNS_URL|--url/, code: 2 },
  'user show': {
    does: `user show u1 ${client}`,
    says: /tel:\+4930123456/,
    refuses: `user show nobody ${client}`,
    because: noUser,
  },
  'mailbox export': {
    does: `mailbox export u1 @folder/u1.mbox --json ${client}`,
    says: /"user":"u1"/,
    refuses: `mailbox export nobody @folder/n.mbox ${client}`,
    because: /may not read/,
  },
  'mailbox import': {
    does: `mailbox import u1 @folder/u1.mbox ${client}`,
    says: /0 added/,
    refuses: `mailbox import u1 @folder/none.mbox ${client}`,
    because: /no file/,
  },
  'mailbox list': {
    does: `mailbox list ${running}`,
    says: /^u1 +a\.example/m,
    refuses: `mailbox list --limit 0 ${running}`,
    because: /expected a number/,
    code: 2,
  },
  'mailbox show': {
    does: `mailbox show u1 ${running}`,
    says: /u1 of a\.example/,
    refuses: `mailbox show nobody ${running}`,
    because: /nobody/,
  },
  'pn list': {
    does: `pn list ${running}`,
    says: /no Personal Network/,
    refuses: `pn list ${nowhere}`,
    because: noFile,
  },
  'pn show': {
    async does(run) {
      await establishedHome()
      return run(`pn show home ${running}`)
    },
    says: /Our home/,
    refuses: `pn show none ${running}`,
    because: /none/,
  },
  'document list': {
    does: `document list mailbox/ ${running}`,
    says: /mailbox\/a\.example\/u1/,
    refuses: `document list ${nowhere}`,
    because: noFile,
  },
  'document show': {
    does: `document show mailbox/a.example/u1 ${running}`,
    says: /written by a\.example alone/,
    refuses: `document show pn/a.example/none ${running}`,
    because: /does not hold/,
  },
  'document history': {
    does: `document history mailbox/a.example/u1 ${running}`,
    says: /the latest \d+ of/,
    refuses: `document history nonsense ${running}`,
    because: /nonsense/,
  },
  'policy show': {
    does: `policy show ${client}`,
    says: /# Policy of a\.example/,
    refuses: `policy show --psk-file @folder/none ${client}`,
    because: noFile,
  },
  'policy set': {
    does: `policy set @folder/policy.toml ${client}`,
    says: /The policy of a\.example/,
    refuses: `policy set @folder/wrong.toml ${client}`,
    because: /did you mean "standard\.hops"/,
  },
  'user remove': {
    does: `user remove u1 ${client}`,
    says: /Erased u1/,
    refuses: `user remove u1 ${client}`,
    because: noUser,
  },
  backup: {
    does: `backup --to @folder/a.backup ${running}`,
    says: /documents, .*--check/,
    refuses: `backup --to @folder/small.yaml/a.backup ${running}`,
    because: /Cannot write/,
  },
  restore: {
    does: 'restore @folder/a.backup --check',
    says: /as it was written, and signed/,
    refuses: 'restore @folder/a.backup --data @running',
    because: /empty|choose/,
  },
  'support-bundle': {
    does: `support-bundle --out @folder/support.json ${running}`,
    says: /Read it before/,
    refuses: `support-bundle --out @folder/support.json ${running}`,
    because: /choose another file/,
  },
  start: {
    async does(run) {
      const socket = join(places['@stopped'] ?? '', 'data', controlSocketName)
      const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
      const listening = signals.map(signal => process.listeners(signal))
      const began = run(`start --set log.level=error ${stopped}`)
      await Promise.race([began, until(() => thisHost().runs(socket), { what: 'it serves' })])
      process.emit('SIGTERM')
      await began
      // A process of its own would end here, and its listeners with it.
      for (const [at, signal] of signals.entries()) {
        for (const listener of process.listeners(signal))
          if (!listening[at]?.includes(listener)) process.removeListener(signal, listener)
      }
      return began
    },
    says: /^$/,
    refuses: `start --set log.level=loud ${stopped}`,
    because: /log\.level/,
  },
  verify: {
    does: `verify ${stopped}`,
    says: /as they were written/,
    refuses: `verify --repair ${running}`,
    because: /stop it first/,
  },
  drain: { does: `drain ${running}`, says: /Drained/, refuses: `drain ${stopped}`, because: /No node runs there/ },
  simulate: {
    does: 'simulate @folder/small.yaml',
    says: /^seed 1 +ok/,
    refuses: 'simulate @folder/policy.toml',
    because: /policy\.toml/,
    code: 6,
  },
  'simulate list': {
    does: 'simulate list',
    says: /^partition/m,
    refuses: 'simulate list more',
    because: /too many arguments/,
    code: 2,
  },
  'simulate verify': {
    does: 'simulate verify @folder/small.yaml',
    says: /^The same in both processes/,
    refuses: 'simulate verify @folder/none.yaml',
    because: /none\.yaml/,
  },
  'simulate validate': {
    does: 'simulate validate @studies/push-pull.yaml --share 0.01',
    says: /n=1000/,
    refuses: 'simulate validate @folder/small.yaml',
    because: /not a study/,
    code: 6,
  },
  'simulate shrink': {
    does: 'simulate shrink @folder/small.yaml --seed 1 --out @folder/shrunk.json',
    says: /nothing to shrink/,
    refuses: 'simulate shrink @folder/small.yaml',
    because: /--seed/,
    code: 2,
  },
  'simulate schema': {
    does: 'simulate schema',
    says: /"\$schema"/,
    refuses: 'simulate schema more',
    because: /too many arguments/,
    code: 2,
  },
  bench: {
    does: 'bench --on @folder --for 100ms',
    says: /^durable writes, 64 at once +[\d,]+ +[\d.]+ ms/m,
    refuses: 'bench --on @folder/nowhere',
    because: /no folder .*--on/,
  },
  completion: {
    does: 'completion bash',
    says: /complete/,
    refuses: 'completion csh',
    because: /Allowed choices/,
    code: 2,
  },
}
