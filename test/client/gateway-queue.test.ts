import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { RequestRefused } from '../../src/client/errors.ts'
import {
  type GatewayQueue,
  openGatewayQueue,
  type QueuedCommand,
  QueueFull,
  type Sent,
} from '../../src/client/gateway-queue.ts'
import { StoreDamaged } from '../../src/client/keeper.ts'
import { pnUpdate } from '../../src/inventory/methods.ts'
import type { GatewayStore } from '../../src/ports/gateway-store.ts'
import { operatorId } from '../../src/ports/names.ts'
import { gatewayMemoryStore } from '../fixtures/gateway-memory-store.ts'

/*
 * The queue of a gateway, over any sequence of commands, answers, lost answers, refusals, crashes and disks that fail: what
 * was promised is executed once, or refused once, in the order in which it came in its Personal Network; nothing is
 * forgotten, and nothing is sent that a crash could make the gateway forget.
 */
const test = suite('the queue of a gateway')

const home = operatorId('a.example')
const lanes = ['one', 'two'] as const
const idOf = (number: number) => `command-${String(number).padStart(12, '0')}`

function commandOf(number: number, lane: number): QueuedCommand {
  const network = { home, pnId: lanes[lane % lanes.length] ?? 'one' }
  const pne = { operator: home, pneId: `pne-${number}` }
  const id = idOf(number)
  const params = { commandId: id, time: 1_000 + number, ...network, operation: 'add' as const, pnes: [pne] }
  return { id, method: pnUpdate.method, params, network, pne }
}

type Fate = 'kept' | 'lost'

/** A disk that fails when it is told to: the write is there afterwards or not, and the gateway is not told which. */
function failing() {
  const disk = gatewayMemoryStore()
  const fates: Fate[] = []
  const store: GatewayStore = {
    read: key => disk.read(key),
    async write(key, text) {
      const fate = fates.shift()
      // A disk takes its time.
      await new Promise(resolve => setImmediate(resolve))
      if (fate !== 'lost') await disk.write(key, text)
      if (fate) throw new Error('The disk fails, for the test.')
    },
  }
  return { store, failNext: (fate: Fate) => fates.push(fate), mend: () => fates.splice(0) }
}

const answers = ['done', 'lost', 'away', 'refused', 'crash before', 'crash after', 'crash deciding'] as const
type Answer = (typeof answers)[number]

type Step =
  | { readonly kind: 'add'; readonly lane: number; readonly fate: Fate | undefined }
  | {
      readonly kind: 'drain'
      readonly answers: readonly Answer[]
      readonly fate: Fate | undefined
      readonly adds: number
    }
  | { readonly kind: 'crash' }

const fate = fc.option(fc.constantFrom<Fate>('kept', 'lost'), { nil: undefined, freq: 5 })
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('add' as const), lane: fc.nat(1), fate }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('drain' as const),
        answers: fc.array(fc.constantFrom(...answers), { maxLength: 6 }),
        fate,
        adds: fc.nat(2),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: 'crash' as const }) },
  ),
  { maxLength: 25 },
)

class Crash extends Error {}

async function walk(steps: readonly Step[]): Promise<void> {
  const disk = failing()
  const open = () => openGatewayQueue({ store: disk.store, methods: [pnUpdate] })
  let queue: GatewayQueue = await open()
  let made = 0
  const promised = new Set<string>()
  const executed: string[] = []
  const tooEarly: string[] = []
  const refused = new Set<string>()
  const laneOf = new Map<string, string>()

  async function add(lane: number): Promise<void> {
    const command = commandOf(made++, lane)
    laneOf.set(command.id, command.network.pnId)
    await queue.add(command)
    promised.add(command.id)
  }

  function serverFor(script: Answer[]) {
    const execute = (id: string) => void (executed.includes(id) || executed.push(id))
    const send = async ({ id }: QueuedCommand): Promise<Sent> => {
      if (!(await disk.store.read('queue'))?.includes(id)) tooEarly.push(id)
      // By its id the server knows what it has executed, and answers as it did.
      const answer = executed.includes(id) ? 'done' : (script.shift() ?? 'away')
      if (answer === 'crash before') throw new Crash()
      if (answer === 'away') return { kind: 'later' }
      if (answer === 'refused') {
        return {
          kind: 'refused',
          error: new RequestRefused(pnUpdate.method, { status: 409, reason: 'NO', message: 'No.' }),
        }
      }
      execute(id)
      if (answer === 'crash after') throw new Crash()
      return answer === 'lost' ? { kind: 'later' } : { kind: 'done' }
    }
    const decided = ({ id }: QueuedCommand, sent: Sent): void => {
      if (sent.kind === 'refused') refused.add(id)
      if (script[0] === 'crash deciding') {
        script.shift()
        throw new Crash()
      }
    }
    return { send, decided }
  }

  for (const step of steps) {
    disk.mend()
    if (step.kind !== 'crash' && step.fate) disk.failNext(step.fate)
    const failed = (error: unknown) => error instanceof Error
    if (step.kind === 'add') await add(step.lane).catch(failed)
    if (step.kind === 'drain') {
      const { send, decided } = serverFor([...step.answers])
      const adding = Array.from({ length: step.adds }, (_, lane) => add(lane).catch(failed))
      const draining = queue.drain(send, decided).then(
        () => false,
        error => error instanceof Crash,
      )
      await Promise.all(adding)
      if (await draining) queue = await open()
    }
    if (step.kind === 'crash') queue = await open()
  }

  disk.mend()
  queue = await open()
  const { send, decided } = serverFor(Array.from({ length: made }, () => 'done' as const))
  await queue.drain(send, decided)
  assert.equal(queue.waiting, [])
  assert.equal(tooEarly, [], 'sent before it was kept')
  for (const id of promised) assert.ok(executed.includes(id) || refused.has(id), `${id} was promised, and forgotten`)
  assert.is(new Set(executed).size, executed.length)
  for (const lane of lanes) {
    const inLane = executed.filter(id => laneOf.get(id) === lane)
    assert.equal(inLane, [...inLane].sort(), 'in order')
  }
}

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

test(`whatever happens, each command is executed once, in order (seed ${seed})`, async () => {
  await fc.assert(fc.asyncProperty(steps, walk), { seed, numRuns: 300 })
})

test('has room for so many, and says so', async () => {
  const queue = await openGatewayQueue({ store: gatewayMemoryStore(), methods: [pnUpdate], maxCommands: 2 })
  await Promise.all([queue.add(commandOf(0, 0)), queue.add(commandOf(1, 0)), queue.add(commandOf(1, 0))])
  const full = await queue.add(commandOf(2, 0)).catch((error: unknown) => error)
  assert.instance(full, QueueFull)
  assert.equal(
    queue.waiting.map(({ id }) => id),
    [idOf(0), idOf(1)],
  )
})

test('what it cannot send it drops and reports; what is no queue at all it does not write over', async () => {
  const store = gatewayMemoryStore()
  const queue = await openGatewayQueue({ store, methods: [pnUpdate] })
  await queue.add(commandOf(0, 0))
  const text = (await store.read('queue')) ?? ''
  const kept = JSON.parse(text)
  await store.write(
    'queue',
    JSON.stringify({ commands: [{ ...kept.commands[0], method: 'pn.dance' }, 7, ...kept.commands] }),
  )
  const dropped: unknown[] = []
  const again = await openGatewayQueue({ store, methods: [pnUpdate], dropped: command => dropped.push(command) })
  assert.is(dropped.length, 2)
  assert.equal(
    again.waiting.map(({ id }) => id),
    [idOf(0)],
  )
  for (const nonsense of ['', '{', '[]', '{"commands":7}']) {
    await store.write('queue', nonsense)
    const error = await openGatewayQueue({ store, methods: [pnUpdate] }).catch((error: unknown) => error)
    assert.instance(error, StoreDamaged)
    assert.is(await store.read('queue'), nonsense)
  }
})

test.run()
