import { nodeCrypto } from '../adapters/crypto.ts'
import { readText, writeText } from '../adapters/files.ts'
import { parseEvidence, UnprovenEvidence, verifyEvidence } from '../federation/evidence.ts'
import { EvidenceArchive } from '../federation/evidence-archive.ts'
import { type EvidenceLine, evidenceLine, evidenceOf } from '../operations/admin/peers.ts'
import { operatorId } from '../ports/names.ts'
import { askedLines, ifItRuns } from './ask-node.ts'
import { openStoreIn } from './inspected.ts'
import { type NodeFolder, openNodeFolder } from './node-folder.ts'
import { Refused } from './problems.ts'
import { formatTable } from './table.ts'

interface Options {
  readonly config: string
  readonly export?: string
  readonly verify?: string
  readonly json?: true
}

/** `cpns peer evidence`: a file of it has one piece on each line. @throws {Refused} for a file that proves less than it has lines */
export async function evidence(name: string | undefined, options: Options): Promise<void> {
  if (options.verify !== undefined) return verify(options.verify, options)
  const folder = await openNodeFolder(options.config)
  const kept = await evidenceIn(folder, name === undefined ? undefined : operatorId(name))
  if (options.export !== undefined) {
    await writeText(options.export, kept.map(({ evidence }) => `${evidence}\n`).join(''))
    return console.log(`${kept.length} pieces of evidence: ${options.export}`)
  }
  const proven = kept.map(each => each.proven)
  if (options.json) console.log(JSON.stringify(proven))
  else console.log(table(proven, 'There is none.'))
}

/** From the node that runs here, or out of its data folder. */
async function evidenceIn(folder: NodeFolder, operator?: ReturnType<typeof operatorId>): Promise<EvidenceLine[]> {
  const target = operator === undefined ? '/v1/evidence' : `/v1/evidence?operator=${operator}`
  const lines = await ifItRuns(askedLines(folder, 'GET', target))
  if (lines) {
    return Array.fromAsync(lines, line => evidenceLine.parse(JSON.parse(line)))
  }
  const store = await openStoreIn(folder.at(folder.configuration.data))
  try {
    const evidence = new EvidenceArchive({
      store,
      crypto: nodeCrypto(),
      telemetry: { log() {}, count() {}, observe() {} },
    })
    return await Array.fromAsync(evidenceOf({ evidence }, operator))
  } finally {
    await store.close()
  }
}

/** Needs no node, and no folder; the roots that it pins are compared if there is one. */
async function verify(file: string, { config, json }: Options): Promise<void> {
  const lines = (await readText(file)).split('\n').filter(line => line.trim() !== '')
  if (lines.length === 0) throw new Refused(`${file} holds no evidence.`)
  const proven = lines.map((line, at) => provenBy(line, `${file}, line ${at + 1}`))
  if (json) return console.log(JSON.stringify(proven))
  console.log(table(proven, ''))
  const trust = await openNodeFolder(config).then(
    ({ configuration }) => configuration.trust,
    () => undefined,
  )
  for (const { operator, fingerprint } of new Map(
    proven.map(each => [each.operator + each.fingerprint, each]),
  ).values()) {
    const pin = trust?.[operator]
    if (pin === fingerprint)
      console.log(`${operator} is pinned to ${fingerprint} here: this is about the same operator.`)
    else if (pin === undefined) console.log(`Whether ${fingerprint} is the root of ${operator} is for you to know.`)
    else console.log(`${operator} is pinned to ${pin} here, this is about ${fingerprint}: an older root, or another.`)
  }
}

function provenBy(line: string, where: string): EvidenceLine['proven'] {
  try {
    return verifyEvidence(parseEvidence(line), nodeCrypto())
  } catch (error) {
    if (error instanceof UnprovenEvidence) throw new Refused(`${where} proves nothing: ${error.message}`)
    throw error
  }
}

function table(proven: readonly EvidenceLine['proven'][], whenEmpty: string): string {
  const rows = proven.map(({ kind, operator, server = '', document, log, seq }) =>
    kind === 'manifests'
      ? [operator, `two manifests with number ${seq}, or a past that is denied`, '']
      : [operator, `two entries ${seq} of log ${log} of ${document}`, server],
  )
  return formatTable(['operator', 'signed', 'server'], rows, whenEmpty)
}
