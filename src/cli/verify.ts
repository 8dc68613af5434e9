import { Command, Option } from 'commander'
import { systemClock } from '../adapters/clock.ts'
import { askNode, NodeNotReached } from '../adapters/control-socket.ts'
import { nodeCrypto } from '../adapters/crypto.ts'
import { openLevelLogStore, repairLevelStore } from '../adapters/level-log-store.ts'
import { type IntegrityAnswer, integrityAnswer } from '../operations/admin/integrity.ts'
import { controlPath } from '../operations/control-path.ts'
import { type Verified, verifyStore } from '../operations/integrity/verify.ts'
import { type LogStore, StoreDamaged } from '../ports/log-store.ts'
import { type NodeFolder, openNodeFolder } from './node-folder.ts'
import { configOption, jsonOption } from './options.ts'
import { Refused } from './problems.ts'
import { liveProgress } from './progress.ts'
import { sizeText } from './size.ts'

interface Options {
  readonly config: string
  readonly repair?: true
  readonly giveUp?: string
  readonly json?: true
}

/** `cpns verify`: whether the disk still holds what was written on it. */
export function verifyCommand(): Command {
  return new Command('verify')
    .description(
      'Reads everything that is stored and names what the disk has changed; of a node that runs, what it has found so far. Exit code 1 when there is damage.',
    )
    .addOption(configOption())
    .addOption(
      new Option(
        '--repair',
        'takes what is damaged out, of a node that is stopped; peers bring it after the next start',
      ),
    )
    .addOption(
      new Option(
        '--give-up <document>',
        'shows a damaged document of a running node again without what is lost',
      ).conflicts('repair'),
    )
    .addOption(jsonOption())
    .action(async (options: Options) => {
      const folder = await openNodeFolder(options.config)
      const path = controlPath(folder.configuration, folder.at)
      if (options.giveUp !== undefined) return giveUp(path, options.giveUp, options)
      const found = await askedOf(path)
      if (!found) return verifyStopped(folder, options)
      if (options.repair)
        throw new Refused('The node runs, and mends what it finds by itself. To repair the rest, stop it first.')
      showRunning(found, options)
    })
}

/** What the node says, if one runs. */
async function askedOf(path: string): Promise<IntegrityAnswer | undefined> {
  try {
    return integrityAnswer.parse(JSON.parse(await asked(path, 'GET', '/v1/integrity')))
  } catch (error) {
    if (error instanceof NodeNotReached) return undefined
    throw error
  }
}

async function asked(path: string, method: 'GET' | 'POST', target: string, body?: object): Promise<string> {
  const { status, lines } = await askNode(path, method, target, body)
  const text = (await Array.fromAsync(lines)).join('\n')
  if (status !== 200) throw new Refused(`The node answered ${status}: ${text}`)
  return text
}

async function giveUp(path: string, document: string, { json }: Options): Promise<void> {
  await asked(path, 'POST', '/v1/integrity/give-up', { document })
  console.log(json ? JSON.stringify({ document }) : `${document} is shown again, without what was lost.`)
}

function showRunning(found: IntegrityAnswer, { json }: Options): void {
  const { damaged, scrub } = found
  if (json) console.log(JSON.stringify(found))
  else {
    for (const { document, since } of damaged)
      console.log(`✗ ${document} is refused since ${new Date(since).toISOString()}, until peers bring what is lost.`)
    for (const record of scrub.damagedRecords) console.log(`✗ ${record}: no peer has it.`)
    console.log(reading(scrub))
  }
  const count = damaged.length + scrub.damagedRecords.length
  if (count > 0)
    throw new Refused(
      `${count} damaged. Link a server that holds the documents; for records, stop the node and repair.`,
    )
}

function reading({ state, rounds, documents, bytes }: IntegrityAnswer['scrub']): string {
  if (state === 'off') return 'The node runs, and does not read its disk through (scrub.bytesPerSecond = 0).'
  if (state === 'reading')
    return `The node runs, and reads its disk through: ${documents} documents, ${sizeText(bytes)} so far.`
  return rounds > 0
    ? `The node runs, and has read its disk through: ${documents} documents, ${sizeText(bytes)}.`
    : 'The node runs, and has not read its disk through since it started. Stop it to verify at once.'
}

async function verifyStopped(folder: NodeFolder, options: Options): Promise<void> {
  const store = await opened(folder.at(folder.configuration.data), options)
  try {
    const verified = await verify(store, options)
    if (options.json) console.log(JSON.stringify(verified))
    else show(verified)
    const { faults, damaged } = verified
    if (faults.length > 0 && !options.repair)
      throw new Refused(`${faults.length} damaged. cpns verify --repair takes them out, so that peers can bring them.`)
    if (damaged.length > 0 && faults.length === 0)
      throw new Refused(
        `${damaged.length} documents lack what the disk has lost: start the node, and link a server that holds them.`,
      )
  } finally {
    await store.close()
  }
}

/** @throws {StoreDamaged} what is not to be repaired, or cannot be */
async function opened(folder: string, { repair }: Options): Promise<LogStore> {
  try {
    return await openLevelLogStore(folder)
  } catch (error) {
    if (!repair || !(error instanceof StoreDamaged)) throw error
    await repairLevelStore(folder)
    return openLevelLogStore(folder)
  }
}

async function verify(store: LogStore, { repair, json }: Options): Promise<Verified> {
  const progress = liveProgress('Reading', json ? process.stderr : process.stdout)
  try {
    return await verifyStore({
      store,
      repairs: repair === true,
      clock: systemClock(),
      crypto: nodeCrypto(),
      told: ({ documents, bytes }) => progress.show(`${documents} documents, ${sizeText(bytes)}`),
    })
  } finally {
    progress.clear()
  }
}

function show({ documents, bytes, faults, damaged }: Verified): void {
  for (const { record, detail } of faults) console.log(`✗ ${record} is damaged. ${detail}`)
  for (const document of damaged)
    if (!faults.some(fault => fault.document === document)) console.log(`! ${document} lacks what was lost earlier.`)
  console.log(
    `${documents} documents, ${sizeText(bytes)}: ${faults.length === 0 ? 'as they were written' : `${faults.length} damaged`}.`,
  )
}
