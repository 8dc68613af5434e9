import { mailboxContainers, messageDeposit } from '../../src/storage/methods/objects.ts'
import { mailboxSync } from '../../src/storage/methods/sync.ts'
import { type Figure, measured, median, spread } from './bench.ts'
import { home, messageOf, newId, register, type StorageServer, storageServer } from './storage-server.ts'

/*
 * A mailbox of very many conversations beside a small one, at one server, in turn: deposits, and synchronisation of ten changes. What
 * has not changed is to cost nothing, so they are to cost about the same.
 */

const few = 50
const writers = 64
const rounds = 7
const depositsPerRound = 400
const increments = 20
const changesAtOnce = 10
const date = 1_735_000_000_000

export async function manyConversations(
  folder: string,
  progress: (line: string) => void,
  many = 60_000,
): Promise<Figure[]> {
  let server = await storageServer(folder)
  try {
    for (const user of ['few', 'many']) await register(server, user)
    await fill(server, 'few', few)
    const filled = await measured(() => fill(server, 'many', many))
    progress(
      `${many} conversations: ${Math.round(filled.perSecond)} begun per second at ${Math.round(filled.cpuUs)} µs`,
    )
    await server.close()

    const began = process.cpuUsage()
    server = await storageServer(folder)
    const startMs = cpuMsSince(began)
    await depositRound(server, 'few', few)
    await depositRound(server, 'many', many)
    const cpuUs = { few: [] as number[], many: [] as number[] }
    const ratios: number[] = []
    for (let round = 0; round < rounds; round++) {
      const small = await measured(() => depositRound(server, 'few', few))
      const large = await measured(() => depositRound(server, 'many', many))
      cpuUs.few.push(small.cpuUs)
      cpuUs.many.push(large.cpuUs)
      ratios.push(large.cpuUs / small.cpuUs)
    }
    progress(
      `deposits: ${Math.round(median(cpuUs.many))} µs of CPU, in the small mailbox ${Math.round(median(cpuUs.few))} µs`,
    )
    const [smallSyncs, largeSyncs] = [await syncs(server, 'few', few), await syncs(server, 'many', many)]
    progress(
      `incremental sync: ${median(largeSyncs).toFixed(2)} ms, in the small mailbox ${median(smallSyncs).toFixed(2)} ms`,
    )
    const before = process.cpuUsage()
    await server.call(mailboxContainers, { operator: home, user: 'many', limit: 100 })
    return [
      {
        name: `a deposit among ${many} conversations, CPU beside one among ${few}`,
        value: median(ratios),
        unit: '×',
        ...spread(ratios),
        atMost: 4,
      },
      {
        name: `a deposit among ${many} conversations, server CPU`,
        value: median(cpuUs.many),
        unit: 'µs',
        samples: rounds,
      },
      {
        name: `incremental sync among ${many} conversations, server CPU, median`,
        value: median(largeSyncs),
        unit: 'ms',
        ...spread(largeSyncs),
        atMost: 20,
      },
      {
        name: `incremental sync among ${few} conversations, server CPU, median`,
        value: median(smallSyncs),
        unit: 'ms',
        ...spread(smallSyncs),
      },
      {
        name: `a page of the list of ${many} conversations, server CPU`,
        value: cpuMsSince(before),
        unit: 'ms',
        samples: 1,
      },
      { name: `start of a server with that mailbox, CPU`, value: startMs, unit: 'ms', samples: 1 },
    ]
  } finally {
    await server.close()
  }
}

function cpuMsSince(began: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(began)
  return (user + system) / 1_000
}

let sent = 0
const deposit = (server: StorageServer, user: string, conversation: number) =>
  server.call(messageDeposit, {
    commandId: newId(),
    operator: home,
    user,
    object: messageOf(`talk-${conversation}`, date + ++sent, 'What is for lunch today?'),
  })

/** `writers` at once, until `count` have been done. */
async function inParallel(count: number, work: (index: number) => Promise<unknown>): Promise<number> {
  let next = 0
  await Promise.all(
    Array.from({ length: writers }, async () => {
      while (next < count) await work(next++)
    }),
  )
  return count
}

const fill = (server: StorageServer, user: string, conversations: number) =>
  inParallel(conversations, index => deposit(server, user, index))

/** In both mailboxes as many conversations are active, those that have begun last. */
const active = (conversations: number): number => conversations - few + (sent % few)

const depositRound = (server: StorageServer, user: string, conversations: number) =>
  inParallel(depositsPerRound, () => deposit(server, user, active(conversations)))

/** Milliseconds of CPU for each synchronisation of ten changes in as many conversations. */
async function syncs(server: StorageServer, user: string, conversations: number): Promise<number[]> {
  const mailbox = { operator: home, user }
  let { token } = await server.call(mailboxSync, { ...mailbox, scope: { kind: 'folder' } })
  const cpuMs: number[] = []
  for (let round = 0; round < increments; round++) {
    for (let index = 0; index < changesAtOnce; index++) await deposit(server, user, active(conversations))
    const began = process.cpuUsage()
    const page = await server.call(mailboxSync, { ...mailbox, ...(token !== undefined && { token }) })
    cpuMs.push(cpuMsSince(began))
    if (page.created.length !== changesAtOnce) throw new Error(`The page has ${page.created.length} changes.`)
    token = page.token
  }
  return cpuMs
}
