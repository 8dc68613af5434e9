import * as assert from 'uvu/assert'
import { RequestRefused } from '../../../src/client/errors.ts'
import { isOpen } from '../../../src/client/patience.ts'
import type { MethodSpec } from '../../../src/federation/command.ts'
import type { Flag, ObjectName, Scope } from '../../../src/storage/fields.ts'
import {
  folderCreate,
  folderRemove,
  folderRename,
  mailboxCopy,
  mailboxExpunge,
  mailboxFlag,
  mailboxMove,
  messageDeposit,
} from '../../../src/storage/methods/objects.ts'
import { mailboxSync } from '../../../src/storage/methods/sync.ts'
import { mailboxGrantMethod, userRegister, userRemove } from '../../../src/storage/methods/users.ts'
import { a, alice, aliceAddress, b, message, StorageWorld } from '../storage-world.ts'
import { Device } from './device.ts'
import { type Mailbox, Model, type Place } from './model.ts'
import { type Plan, type Step, servers } from './steps.ts'

/*
 * One history: each step at a server and in the model, and what devices have then held against what the model says.
 */

/** Between two steps: more than clocks differ, so that times of different steps are in the order of the steps. */
const stepMs = 10_000
/** Until what was done on both sides of a partition is in order. */
const mendingMs = 120_000
const hourMs = 3_600_000
/**
 * Objects marked \\Deleted stay for longer than the rounds last between two waits, and go at the latest when each server has
 * looked twice, as it does every hour. Tokens from before two waits are too old.
 */
const storage = { partObjects: 3, deletedMs: hourMs / 2, tokenMs: 4 * hourMs, offlineMs: 48 * hourMs }
const waitMs = 2.2 * hourMs
const conversations = ['lunch', 'dinner'] as const
const [home] = servers
const homes = servers.slice(0, 2)

const scopes: readonly Scope[] = [
  {},
  { without: ['\\Deleted'] },
  { kind: 'folder' },
  { with: ['\\Seen'], kind: 'conversation' },
]

export class Walk {
  readonly #world: StorageWorld
  readonly #model = new Model(servers)
  readonly #devices = scopes.map((scope, index) => new Device(`device-${index}`, scope))
  readonly #names = new Map<string, string>()
  #sides: readonly (readonly string[])[] = [servers]
  #commands = 0

  private constructor(world: StorageWorld) {
    this.#world = world
  }

  static async start({ seed, skewsMs, reserveBytes }: Plan): Promise<Walk> {
    const limits = { storage: { ...storage, mailboxReserveBytes: reserveBytes } }
    const world = await StorageWorld.start({ 'a.example': 2, 'b.example': 1 }, limits, seed, undefined, host => ({
      clock: { offsetMs: skewsMs[(servers as readonly string[]).indexOf(host)] ?? 0 },
    }))
    const walk = new Walk(world)
    await world.call('provisioner', home, userRegister, {
      commandId: walk.#commandId(),
      user: 'alice',
      addresses: [aliceAddress],
      subscribers: [
        { operator: a, identity: 'alice', rights: ['read', 'write', 'deposit'] },
        { operator: b, identity: 'alice', rights: ['read'] },
      ],
    })
    await world.call('provisioner', home, mailboxGrantMethod, {
      ...alice,
      commandId: walk.#commandId(),
      grantee: b,
      fingerprint: world.federation.operator('b.example').fingerprint,
      lifetimeMs: 365 * 86_400_000,
    })
    // All clients there will be, so that a partition knows them.
    for (const server of servers) world.client('alice', server)
    for (const server of homes) world.client('function', server)
    await world.converged()
    return walk
  }

  async round({ sides, steps, waits, lost }: Plan['rounds'][number]): Promise<void> {
    const world = this.#world
    this.#sides = [0, 1]
      .map(side => servers.filter((_, index) => sides[index] === side))
      .filter(side => side.length > 0)
    world.partition(...this.#sides)
    await world.converged(this.#sides)
    for (const step of steps) {
      await world.pass(stepMs - (world.nowMs % stepMs))
      await this.#take(step)
      await world.converged(this.#sides)
      this.#model.sync(this.#sides)
    }
    if (waits === 'apart') await this.#wait()
    world.heal()
    this.#sides = [servers]
    await world.converged()
    await world.pass(mendingMs)
    await world.converged()
    this.#model.sync(this.#sides)
    if (waits === 'healed') await this.#wait()
    const victim = lost === undefined ? undefined : servers[lost]
    if (victim !== undefined) {
      world.crash(victim, 500, 'lose')
      await world.pass(1_000)
      await world.holds(victim)
      await world.converged()
    }
    for (const device of this.#devices) for (const server of servers) await this.#syncWhole(device, server)
  }

  /** The servers of the home operator expunge by themselves. */
  async #wait(): Promise<void> {
    await this.#world.pass(waitMs)
    await this.#world.converged(this.#sides)
    for (const server of homes) this.#model.retain(server, this.#world.nowMs)
    this.#model.sync(this.#sides)
  }

  /** Nothing of a removed user is left on any disk, wherever it came from. */
  async remove(): Promise<void> {
    const world = this.#world
    await world.call('provisioner', home, userRemove, { commandId: this.#commandId(), user: 'alice' })
    await world.pass(waitMs)
    for (const server of servers) assert.is(world.isOnDisk(server, 'Message '), false, `${server} keeps messages`)
    const { ended } = await this.#answer('alice', home, mailboxSync, alice)
    assert.match(ended, /^403 /)
  }

  async #take(step: Step): Promise<void> {
    const server = servers[step.at] ?? home
    if (step.kind === 'restore') return this.#devices[step.device]?.restore(step.ago)
    if (step.crashAfterMs !== undefined) {
      const afterMs = step.crashAfterMs
      const { world } = this.#world.federation
      world.at(Math.round(world.nowMs + afterMs), 'crash', () => this.#world.crash(server))
    }
    if (step.kind === 'sync') return this.#sync(step, server)
    // What changes a mailbox is done by its home operator.
    const side = this.#sides.find(side => side.includes(server)) ?? []
    const at = side.find(name => name === server && name.startsWith('a.')) ?? side.find(name => name.startsWith('a.'))
    if (at !== undefined) await this.#change(step, at)
  }

  async #change(step: Exclude<Step, { kind: 'sync' | 'restore' }>, at: string): Promise<void> {
    const model = this.#model
    const shown = model.show(at)
    const time = this.#world.nowMs
    const command = { commandId: this.#commandId(), ...alice, time }
    const object = 'object' in step ? picked(shown.objects, step.object) : undefined
    const folder = 'folder' in step ? picked([...shown.folders.keys()], step.folder) : undefined
    switch (step.kind) {
      case 'deposit': {
        const { message: number, isNamed, flags } = step
        const conversation = conversations[number % 2] ?? 'lunch'
        const text = isNamed ? `Message ${number}` : `Message ${number} of ${command.commandId}`
        const key = `${conversation} ${number}`
        const container = `c-${conversation}`
        const known = isNamed ? this.#names.get(key) : undefined
        const expected = known && model.isGone(at, { container, id: known }) ? '410 GONE' : 'done'
        const answer = await this.#answer('function', at, messageDeposit, {
          ...command,
          object: message(text, {
            conversationId: conversation,
            date: 1_795_000_000_000 + 60_000 * number,
            ...(isNamed && { imdnMessageId: `imdn-${number}` }),
          }),
          flags: [...flags],
        })
        assert.is(answer.ended, expected, told(step))
        if (!answer.result) return
        const { id } = answer.result
        assert.ok(known === undefined || known === id, `${told(step)}: two names`)
        if (isNamed) this.#names.set(key, id)
        if (step.crashAfterMs === undefined)
          assert.is(answer.result.created, !model.isThere(at, { container, id }), `${told(step)}: new or not`)
        model.deposit(at, { container, id }, text, flags, time)
        return
      }
      case 'flag': {
        if (!object) return
        const wanted = time - step.ago * stepMs - (step.ago > 0 ? stepMs / 2 : 0)
        const change = { ...(await this.#nameOf(object, at)), time: wanted }
        const { result } = await this.#answer('alice', at, mailboxFlag, {
          ...command,
          changes: [{ ...change, ...(step.isOn ? { add: [step.flag] } : { remove: [step.flag] }) }],
        })
        assert.is(result?.outcomes[0]?.code, 200, told(step))
        model.flag(at, object, step.flag, step.isOn, wanted)
        return
      }
      case 'copy': {
        if (!object || folder === undefined) return
        const name = await this.#nameOf(object, at)
        const { result } = await this.#answer('alice', at, mailboxCopy, { ...command, objects: [name], folder })
        const { copy, code } = result?.outcomes[0] ?? {}
        assert.ok(copy && (code === 201 || code === 200), `${told(step)}: ${told(result)}`)
        model.copy(at, object, copy, time)
        return
      }
      case 'move': {
        if (!object || folder === undefined) return
        const name = await this.#nameOf(object, at)
        const { result } = await this.#answer('alice', at, mailboxMove, { ...command, objects: [name], folder })
        const outcome = result?.outcomes[0]
        const isBound = !object.container.startsWith('f-')
        if (isBound) return assert.is(outcome?.reason, 'STAYS_IN_CONVERSATION', told(step))
        const isSame = folder === object.container
        const isDone = outcome?.code === 200 || (step.crashAfterMs !== undefined && outcome?.code === 404)
        const isBlocked = model.isGone(at, { container: folder, id: object.id }) && outcome?.reason === 'GONE'
        if (isBlocked) return
        assert.ok(isDone, `${told(step)}: ${told(outcome)}`)
        if (!isSame) model.move(at, object, { container: folder, id: object.id }, time)
        return
      }
      case 'expunge': {
        if (!object) return
        const name = await this.#nameOf(object, at)
        const { result } = await this.#answer('alice', at, mailboxExpunge, { ...command, objects: [name] })
        assert.is(result?.outcomes[0]?.code, 200, told(step))
        model.expunge(at, object, time)
        return
      }
      case 'clear': {
        if (!object) return
        await this.#answer('alice', at, mailboxExpunge, { ...command, deletedIn: object.container })
        for (const other of shown.objects)
          if (other.container === object.container && other.flags.includes('\\Deleted')) model.expunge(at, other, time)
        return
      }
      case 'folder': {
        const parent = step.parent === undefined ? undefined : picked([...shown.folders.keys()], step.parent)
        const name = `Folder ${step.name}`
        const isTaken = [...shown.folders.values()].some(other => other.name === name && other.parent === parent)
        const { ended, result } = await this.#answer('alice', at, folderCreate, {
          ...command,
          name,
          ...(parent !== undefined && { parent }),
        })
        assert.is(ended, isTaken ? '409 FOLDER_EXISTS' : 'done', told(step))
        if (result) model.name(at, result.folder, { name, parent }, time)
        return
      }
      case 'rename': {
        if (folder === undefined) return
        const name = `Folder ${step.name}`
        const parent = shown.folders.get(folder)?.parent
        const isTaken = [...shown.folders].some(
          ([id, other]) => id !== folder && other.name === name && other.parent === parent,
        )
        const { ended } = await this.#answer('alice', at, folderRename, { ...command, folder, name })
        assert.is(ended, isTaken ? '409 FOLDER_EXISTS' : 'done', told(step))
        if (ended === 'done') model.name(at, folder, { name, parent }, time)
        return
      }
      case 'remove': {
        if (folder === undefined) return
        const { ended } = await this.#answer('alice', at, folderRemove, { ...command, folder })
        assert.is(ended, 'done', told(step))
        model.removeFolder(at, folder, time)
        return
      }
    }
  }

  /** Pages of a sync, as many as the device has the patience for. */
  async #sync({ device: number, limit, pages }: Extract<Step, { kind: 'sync' }>, server: string): Promise<void> {
    const device = this.#devices[number]
    if (!device) return
    // One that was begun before brings the device to where its server was then.
    const isNew = device.kept.cursor === undefined
    for (let page = 0; page < pages; page++) {
      const told = await this.#page(device, server, limit)
      if (told === 'lagging') return
      if (told.cursor !== undefined) continue
      if (isNew && !told.lagging) this.#check(device, server)
      return
    }
  }

  async #syncWhole(device: Device, server: string): Promise<void> {
    let isNew = device.kept.cursor === undefined
    for (let page = 0; page < 1_000; page++) {
      const answer = await this.#page(device, server, 500)
      assert.is.not(answer, 'lagging', `${server} lags, though all have met`)
      if (answer === 'lagging' || answer.cursor !== undefined) continue
      if (isNew) {
        assert.is(answer.lagging, false, `${server} lags, though all have met`)
        return this.#check(device, server)
      }
      isNew = true
    }
    assert.unreachable('a sync does not end')
  }

  async #page(device: Device, server: string, limit: number) {
    const { ended, result } = await this.#answer('alice', server, mailboxSync, {
      ...alice,
      device: device.name,
      ...device.question,
      scope: device.scope,
      limit,
    })
    if (ended === '503 LAGGING') return 'lagging'
    assert.ok(result, `${device.name} at ${server}: ${ended}`)
    const { created, changed, left, vanished } = result
    assert.ok(created.length + changed.length + left.length + vanished.length <= limit, 'more than asked for')
    device.take(result)
    return result
  }

  /** A device that was told everything has what its server has, and that is what the model says. */
  #check(device: Device, server: string): void {
    const expected = this.#model.show(server)
    const { objects, containers } = device.kept
    const kept = [...objects.values()].map(object => line(object, object.text ?? '', object.flags)).sort()
    const should = inScope(expected, device.scope)
      .map(object => line(object, object.text, object.flags))
      .sort()
    same(kept, should, `${device.name} at ${server}`)
    const { kind } = device.scope
    const names = [...containers].map(([container, { name, parent }]) => `${container} ${name} ${parent}`).sort()
    const shouldNames = [
      ...(kind === 'folder' ? [] : expected.conversations.map(name => `${name} ${name.slice(2)} undefined`)),
      ...(kind === 'conversation'
        ? []
        : [...expected.folders].map(([folder, { name, parent }]) => `${folder} ${name} ${parent}`)),
    ].sort()
    same(names, shouldNames, `containers of ${device.name} at ${server}`)
  }

  /** The name under which a server has an object. */
  async #nameOf({ container, id }: Place, server: string): Promise<ObjectName> {
    const { created } = await this.#world.sync({ scope: { containers: [container] } }, server)
    const found = created.find(object => object.id === id)
    assert.ok(found, `${server} does not have ${container}/${id}`)
    return { container, part: found?.part ?? 0, id }
  }

  async #answer<P, R>(
    identity: string,
    server: string,
    spec: MethodSpec<P, R>,
    params: P,
  ): Promise<{ readonly ended: string; readonly result?: R }> {
    for (;;) {
      try {
        return { ended: 'done', result: await this.#world.call(identity, server, spec, params) }
      } catch (error) {
        if (isOpen(error)) continue
        if (error instanceof RequestRefused) return { ended: `${error.status} ${error.reason}` }
        throw error
      }
    }
  }

  #commandId(): string {
    this.#commands += 1
    return `command-${String(this.#commands).padStart(12, '0')}`
  }
}

const told = (value: unknown): string => JSON.stringify(value)
const line = ({ container, id }: Place, text: string, flags: readonly Flag[]) =>
  `${container}/${id} "${text}" ${[...flags].sort().join(' ')}`

function same(kept: readonly string[], should: readonly string[], what: string): void {
  const tooMuch = kept.filter(line => !should.includes(line))
  const missing = should.filter(line => !kept.includes(line))
  assert.equal(kept, should, `${what}: too much ${told(tooMuch)}, missing ${told(missing)} of ${kept.length}`)
}

function inScope({ objects }: Mailbox, { kind, with: has = [], without = [] }: Scope) {
  return objects.filter(
    ({ container, flags }) =>
      (kind === undefined || (kind === 'folder') === container.startsWith('f-')) &&
      has.every(flag => flags.includes(flag)) &&
      !without.some(flag => flags.includes(flag)),
  )
}

function picked<T>(items: readonly T[], number: number): T | undefined {
  return items[number % items.length]
}
