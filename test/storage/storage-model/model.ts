import type { Flag } from '../../../src/storage/fields.ts'

/*
 * What servers should hold of one mailbox, as simply as it can be said: facts with a time each, of which the later one
 * counts, and servers that reach each other hold the same. Nothing here is shared with the node: no code, no parts, no logs.
 */

export interface Place {
  readonly container: string
  readonly id: string
}

export interface ModelObject extends Place {
  readonly text: string
  readonly flags: readonly Flag[]
}

export interface ModelFolder {
  readonly name: string
  readonly parent: string | undefined
}

export interface Mailbox {
  readonly objects: readonly ModelObject[]
  readonly folders: ReadonlyMap<string, ModelFolder>
  readonly conversations: readonly string[]
}

interface Fact {
  readonly time: number
  /** `undefined`: not, or no longer. */
  readonly value: unknown
}

const objectKey = ({ container, id }: Place) => `object ${container} ${id}`
const goneKey = ({ container, id }: Place) => `gone ${container} ${id}`
const flagKey = ({ container, id }: Place, flag: Flag) => `flag ${container} ${id} ${flag}`

export class Model {
  readonly #facts = new Map<string, Map<string, Fact>>()

  constructor(servers: readonly string[]) {
    for (const server of servers) this.#facts.set(server, new Map())
  }

  /** Servers that reach each other come to hold the same. */
  sync(sides: readonly (readonly string[])[]): void {
    for (const side of sides) {
      const all = new Map<string, Fact>()
      for (const server of side) for (const [key, fact] of this.#of(server)) put(all, key, fact)
      settleMoves(all)
      for (const server of side) this.#facts.set(server, new Map(all))
    }
  }

  show(server: string): Mailbox {
    const objects: ModelObject[] = []
    const folders = new Map<string, ModelFolder>()
    const conversations: string[] = []
    for (const [key, { value }] of this.#of(server)) {
      if (value === undefined) continue
      const [what, name = '', id = ''] = key.split(' ')
      if (what === 'folder' && !this.#is(server, `removed ${name}`)) folders.set(name, value as ModelFolder)
      if (what === 'conversation') conversations.push(name)
      if (what !== 'object') continue
      const place = { container: name, id }
      if (this.isThere(server, place))
        objects.push({ ...place, text: value as string, flags: this.#flags(server, place) })
    }
    return { objects, folders, conversations }
  }

  isThere(server: string, place: Place): boolean {
    const isOpen = !place.container.startsWith('f-') || this.hasFolder(server, place.container)
    return isOpen && this.#is(server, objectKey(place)) && !this.#is(server, goneKey(place))
  }

  isGone = (server: string, place: Place): boolean => this.#is(server, goneKey(place))

  hasFolder = (server: string, folder: string): boolean =>
    this.#is(server, `folder ${folder}`) && !this.#is(server, `removed ${folder}`)

  deposit(server: string, place: Place, text: string, flags: readonly Flag[], time: number): void {
    if (!place.container.startsWith('f-')) this.#write(server, `conversation ${place.container}`, time, true)
    if (this.isThere(server, place)) return
    this.#write(server, objectKey(place), time, text)
    for (const flag of flags) this.#write(server, flagKey(place, flag), time, true)
  }

  flag(server: string, place: Place, flag: Flag, isOn: boolean, time: number): void {
    if (this.isThere(server, place)) this.#write(server, flagKey(place, flag), time, isOn)
  }

  expunge(server: string, place: Place, time: number): void {
    if (!this.isThere(server, place)) return
    this.#write(server, goneKey(place), time, true)
    this.#write(server, objectKey(place), time, undefined)
    for (const key of this.#of(server).keys())
      if (key.startsWith(`flag ${place.container} ${place.id} `)) this.#write(server, key, time, undefined)
  }

  /** What was marked long ago goes, without anybody asking. */
  retain(server: string, time: number): void {
    for (const object of this.show(server).objects)
      if (object.flags.includes('\\Deleted')) this.expunge(server, object, time)
  }

  copy(server: string, from: Place, to: Place, time: number): void {
    if (this.isThere(server, to)) return
    this.#write(server, objectKey(to), time, this.#of(server).get(objectKey(from))?.value)
    this.#write(server, goneKey(to), time, undefined)
    for (const [key, fact] of [...this.#of(server)]) {
      const [what, container, id, flag] = key.split(' ')
      if (what !== 'flag' || container !== from.container || id !== from.id || fact.value === undefined) continue
      const there = flagKey(to, flag as Flag)
      const before = this.#of(server).get(there)
      // What comes back comes after what was said when it was taken away.
      const at = before && before.value === undefined ? Math.max(fact.time, before.time + 1) : fact.time
      this.#write(server, there, at, fact.value)
    }
  }

  move(server: string, from: Place, to: Place, time: number): void {
    this.copy(server, from, to, time)
    this.expunge(server, from, time)
  }

  name(server: string, folder: string, named: ModelFolder, time: number): void {
    this.#write(server, `folder ${folder}`, time, named)
  }

  removeFolder(server: string, folder: string, time: number): void {
    const { folders, objects } = this.show(server)
    for (const [below, { parent }] of folders) if (parent === folder) this.removeFolder(server, below, time)
    for (const object of objects) if (object.container === folder) this.expunge(server, object, time)
    this.#write(server, `removed ${folder}`, time, true)
  }

  #flags(server: string, { container, id }: Place): Flag[] {
    const prefix = `flag ${container} ${id} `
    return [...this.#of(server)]
      .filter(([key, { value }]) => key.startsWith(prefix) && value === true)
      .map(([key]) => key.slice(prefix.length) as Flag)
      .sort()
  }

  #is(server: string, key: string): boolean {
    return this.#of(server).get(key)?.value !== undefined
  }

  #of(server: string): Map<string, Fact> {
    const facts = this.#facts.get(server)
    if (!facts) throw new RangeError(`There is no server ${server}.`)
    return facts
  }

  #write(server: string, key: string, time: number, value: unknown): void {
    put(this.#of(server), key, { time, value })
  }
}

function put(facts: Map<string, Fact>, key: string, fact: Fact): void {
  const before = facts.get(key)
  if (!before || fact.time > before.time || (fact.time === before.time && fact.value === undefined))
    facts.set(key, fact)
}

/** Of an object that was moved to several folders the last place counts, with the flags of all. */
function settleMoves(all: Map<string, Fact>): void {
  const isSaid = (key: string): boolean => all.get(key)?.value !== undefined
  const places = new Map<string, (Place & { readonly time: number })[]>()
  for (const [key, { time, value }] of all) {
    const [what, container = '', id = ''] = key.split(' ')
    const place = { container, id }
    const isLive = value !== undefined && !isSaid(goneKey(place)) && !isSaid(`removed ${container}`)
    if (what !== 'object' || !container.startsWith('f-') || !isLive) continue
    places.set(id, [...(places.get(id) ?? []), { ...place, time }])
  }
  for (const found of places.values()) {
    const [last, ...before] = found.sort((a, b) => b.time - a.time || (a.container > b.container ? -1 : 1))
    for (const place of last ? before : []) {
      for (const [key, fact] of [...all]) {
        const [what, container, id, flag] = key.split(' ')
        if (what !== 'flag' || container !== place.container || id !== place.id) continue
        if (fact.value !== undefined && last) put(all, flagKey(last, flag as Flag), fact)
        put(all, key, { time: fact.time + 1, value: undefined })
      }
      const time = last?.time ?? 0
      put(all, goneKey(place), { time, value: true })
      put(all, objectKey(place), { time, value: undefined })
    }
  }
}
