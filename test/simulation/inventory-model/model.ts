/*
 * What a federation of servers should say of one Personal Network, as simply as it can be said: each server holds facts,
 * a fact is a time and a value, the later one counts, and servers that reach each other hold the same. Nothing here is
 * shared with the node: no code, no stamps, no logs.
 */

export interface ModelPne {
  readonly operator: string
  readonly pneId: string
}

export type Step =
  | { readonly kind: 'establish' | 'release'; readonly at: string }
  | { readonly kind: 'grant' | 'revoke'; readonly at: string; readonly operator: string }
  | { readonly kind: 'add' | 'remove'; readonly at: string; readonly pne: ModelPne }
  | { readonly kind: 'attach' | 'detach'; readonly at: string }
  | { readonly kind: 'rename'; readonly at: string; readonly alias: string }
  | { readonly kind: 'register'; readonly at: string; readonly pne: ModelPne }

/** What a step should be answered with: done, or the status of its refusal. */
export type Expected = 'ok' | number

/** What a server should show. */
export interface Shown {
  readonly state: 'live' | 'released' | 'none'
  readonly alias: string
  readonly members: readonly string[]
  readonly gateways: readonly string[]
  readonly grants: readonly string[]
}

interface Network {
  readonly epoch: number
}
interface Alias {
  readonly epoch: number
  readonly alias: string
}
interface Grant {
  readonly epoch: number
  /** The moment it was given: one that is given again after it was revoked is another. */
  readonly id: number
}
/** What is said in a PN counts in its epoch, and under the grant of who said it. */
interface Said {
  readonly epoch: number
  readonly grant: number | undefined
}
interface Admission extends Said {
  readonly since: number
  readonly isFirm: boolean
}
interface Registration extends Said {
  readonly admission: number
}
interface Fact {
  readonly time: number
  readonly value: unknown
}

/** Facts of one operator, as one server holds them. */
type Facts = ReadonlyMap<string, Fact>

export interface Layout {
  /** The server names of each operator; the first operator is the home. */
  readonly operators: ReadonlyMap<string, readonly string[]>
  readonly home: string
}

/** One way in which things may have gone. Changes are made to copies. */
export class Model {
  readonly #layout: Layout
  /** By server and operator. */
  readonly #facts: Map<string, Map<string, Facts>>

  constructor(layout: Layout, facts: Map<string, Map<string, Facts>> = new Map()) {
    this.#layout = layout
    this.#facts = facts
  }

  copy(): Model {
    return new Model(this.#layout, new Map([...this.#facts].map(([server, held]) => [server, new Map(held)])))
  }

  /** Servers that reach each other come to hold the same, as far as they may hold it. */
  sync(sides: readonly (readonly string[])[]): void {
    for (const side of sides) while (side.some(from => side.some(to => from !== to && this.#pass(from, to))));
  }

  show(server: string): Shown {
    const view = this.#view(server)
    if (!view) return { state: 'none', alias: '', members: [], gateways: [], grants: [] }
    const members = view.isLive ? [...view.members] : []
    return {
      state: view.isLive ? 'live' : 'released',
      alias: view.alias,
      members: members.map(([pne, { isActive }]) => `${pne} ${isActive ? 'active' : 'member'}`).sort(),
      gateways: [...view.gateways].sort(),
      grants: [...view.grants.keys()].sort(),
    }
  }

  isEntitled(operator: string, server: string): boolean {
    return operator === this.#layout.home || this.#view(server)?.grants.has(operator) === true
  }

  /** Does the step, as it is done when nothing interferes; `side`: the servers that its server reaches. */
  perform(step: Step, time: number, side: readonly string[]): Expected {
    const answer = this.#perform(step, time, side)
    this.sync([side])
    return answer
  }

  #perform(step: Step, time: number, side: readonly string[]): Expected {
    const { home } = this.#layout
    const { at } = step
    const self = this.#operatorOf(at)
    const view = this.#view(at)
    if (step.kind === 'establish') {
      if (view?.isLive) return 409
      this.#write(at, 'pn', time, { epoch: (view?.epoch ?? 0) + 1 } satisfies Network)
      return 'ok'
    }
    if (!view) return 404
    if (step.kind === 'register' && !view.gateways.has(self)) return 403
    if (!view.isLive) return 410
    const ground: Said = { epoch: view.epoch, grant: view.grants.get(self)?.id }
    switch (step.kind) {
      case 'release':
        this.#write(at, 'release', time, { epoch: view.epoch + 1 } satisfies Network)
        return 'ok'
      case 'grant': {
        // What is so already is written by nobody: so a revocation elsewhere, which saw the same grant, stands.
        if (view.grants.has(step.operator)) return 'ok'
        this.#write(at, `grant ${step.operator}`, time, { epoch: view.epoch, id: time } satisfies Grant)
        return 'ok'
      }
      case 'revoke':
        if (view.grants.has(step.operator)) this.#write(at, `grant ${step.operator}`, time, undefined)
        return 'ok'
      case 'add':
        this.#admit(at, nameOf(step.pne), time, { ...ground, since: time, isFirm: true })
        return 'ok'
      case 'remove':
        this.#remove(at, nameOf(step.pne), time, view)
        return 'ok'
      case 'attach': {
        if (self !== home && !view.grants.has(self)) return 403
        if (!view.members.has(gatewayOf(self))) return 403
        this.#write(at, 'gateway', time, ground)
        return 'ok'
      }
      case 'detach':
        if (!view.gateways.has(self)) {
          // Whoever left, and is still an element, may say so again.
          const fact = this.#facts.get(at)?.get(self)?.get('gateway')
          return fact && fact.value === undefined && view.members.has(gatewayOf(self)) ? 'ok' : 404
        }
        this.#write(at, 'gateway', time, undefined)
        return 'ok'
      case 'rename':
        if (step.alias === view.alias) return 'ok'
        this.#write(at, 'alias', time, { epoch: view.epoch, alias: step.alias } satisfies Alias)
        return 'ok'
      case 'register': {
        const { operator } = step.pne
        if (operator !== home && !view.grants.has(operator)) return 403
        const executor = operator === self ? at : side.find(server => this.#operatorOf(server) === operator)
        if (!executor) return 423
        const pne = nameOf(step.pne)
        if (!view.members.has(pne)) this.#admit(at, pne, time, { ...ground, since: time, isFirm: false })
        this.sync([side])
        const seen = this.#view(executor)
        const admission = seen?.members.get(pne)?.since ?? time
        if (!seen) return 404
        const said = { epoch: seen.epoch, grant: seen.grants.get(operator)?.id, admission }
        this.#write(executor, `registration ${pne} ${time}`, time, said satisfies Registration)
        return 'ok'
      }
    }
  }

  #admit(at: string, pne: string, time: number, admission: Admission): void {
    const present = this.#view(at)?.members.get(pne)
    if (present && (!admission.isFirm || present.isFirm)) return
    const since = Math.min(admission.since, present?.since ?? Number.POSITIVE_INFINITY)
    this.#write(at, `roster ${pne}`, time, { ...admission, since } satisfies Admission)
  }

  /** Undoes what its server sees, and nothing else. */
  #remove(at: string, pne: string, time: number, view: View): void {
    if (!view.members.has(pne)) return
    for (const [operator, facts] of this.#facts.get(at) ?? []) {
      const theirs = facts.get(`roster ${pne}`)
      const admission = theirs?.value as Admission | undefined
      if (!theirs || !admission) continue
      this.#write(at, `undone ${operator} ${pne} ${theirs.time}`, time, admission.since)
    }
    this.#write(at, `roster ${pne}`, time, undefined)
  }

  #view(server: string): View | undefined {
    const { home } = this.#layout
    const held = this.#facts.get(server)
    const own = held?.get(home)
    const network = saidIn<Network>(own, 'pn')
    if (!held || !own || !network) return undefined
    const { epoch } = network
    const released = saidIn<Network>(own, 'release')?.epoch ?? 0
    const grants = new Map<string, Grant>()
    for (const operator of this.#layout.operators.keys()) {
      const grant = saidIn<Grant>(own, `grant ${operator}`)
      if (grant?.epoch === epoch) grants.set(operator, grant)
    }
    const speakers = [...held].filter(([operator]) => operator === home || grants.has(operator))
    const counts = (operator: string, said: Said) => said.epoch === epoch && said.grant === grants.get(operator)?.id

    const undone = undoneIn(own)
    const members = new Map<string, { since: number; isFirm: boolean; isActive: boolean }>()
    for (const [operator, facts] of speakers) {
      for (const [key, { time, value }] of facts) {
        const [what, pne = ''] = key.split(' ')
        if (what !== 'roster' || value === undefined || !counts(operator, value as Said)) continue
        if (time <= undone.upTo(operator, pne)) continue
        const { since, isFirm } = value as Admission
        const other = members.get(pne)
        members.set(pne, {
          since: Math.min(since, other?.since ?? since),
          isFirm: isFirm || other?.isFirm === true,
          isActive: false,
        })
      }
    }
    for (const [operator, facts] of speakers) {
      for (const [key, { value }] of facts) {
        const [what, pne = ''] = key.split(' ')
        const member = what === 'registration' && pne.startsWith(`${operator}/`) ? members.get(pne) : undefined
        if (!member || !counts(operator, value as Said)) continue
        // Made under no admission that was undone.
        if ((value as Registration).admission > undone.since(pne)) member.isActive = true
      }
    }
    // What a gateway let in by itself is gone when it came to no registration.
    for (const [pne, { isFirm, isActive }] of members) if (!isFirm && !isActive) members.delete(pne)
    const gateways = speakers
      .filter(([operator, facts]) => {
        const said = saidIn<Said>(facts, 'gateway')
        return said !== undefined && counts(operator, said) && members.has(gatewayOf(operator))
      })
      .map(([operator]) => operator)
    const alias = saidIn<Alias>(own, 'alias')
    return {
      alias: alias?.epoch === epoch ? alias.alias : firstAlias,
      epoch: Math.max(epoch, released),
      isLive: released <= epoch,
      grants,
      members,
      gateways: new Set(gateways),
    }
  }

  /** Hands over what the other may hold and does not. Answers whether anything was new. */
  #pass(from: string, to: string): boolean {
    const { home } = this.#layout
    const receiver = this.#operatorOf(to)
    if (!this.isEntitled(receiver, from)) return this.#operatorOf(from) === home && this.#drop(to)
    let isNew = false
    for (const [operator, facts] of this.#facts.get(from) ?? []) {
      const isTheirs = operator === receiver
      if (operator !== home && !isTheirs && !this.isEntitled(operator, from)) continue
      const held = new Map(this.#facts.get(to)?.get(operator))
      for (const [key, fact] of facts) {
        if ((held.get(key)?.time ?? -1) >= fact.time) continue
        held.set(key, fact)
        isNew = true
      }
      this.#put(to, operator, held)
    }
    return isNew
  }

  /** Who is told that it may hold the PN no longer drops what others have said. Answers whether there was anything. */
  #drop(server: string): boolean {
    const held = this.#facts.get(server)
    if (!held?.has(this.#layout.home)) return false
    const self = this.#operatorOf(server)
    this.#facts.set(server, new Map([...held].filter(([operator]) => operator === self)))
    return true
  }

  #write(server: string, key: string, time: number, value: unknown): void {
    const operator = this.#operatorOf(server)
    this.#put(server, operator, new Map(this.#facts.get(server)?.get(operator)).set(key, { time, value }))
  }

  #put(server: string, operator: string, facts: Facts): void {
    const held = this.#facts.get(server) ?? new Map<string, Facts>()
    this.#facts.set(server, held.set(operator, facts))
  }

  #operatorOf(server: string): string {
    for (const [operator, servers] of this.#layout.operators) if (servers.includes(server)) return operator
    throw new RangeError(`There is no server ${server}.`)
  }
}

interface View {
  readonly alias: string
  readonly epoch: number
  readonly isLive: boolean
  readonly grants: ReadonlyMap<string, Grant>
  readonly members: ReadonlyMap<string, { since: number; isFirm: boolean; isActive: boolean }>
  readonly gateways: ReadonlySet<string>
}

/** Which admissions the home operator has undone. */
function undoneIn(facts: Facts) {
  const undone = [...facts].flatMap(([key, { value }]) => {
    const [what, operator = '', pne = '', upTo = ''] = key.split(' ')
    return what === 'undone' ? [{ operator, pne, upTo: Number(upTo), since: value as number }] : []
  })
  const latest = (times: readonly number[]) => Math.max(-1, ...times)
  return {
    upTo: (of: string, pne: string) =>
      latest(undone.filter(each => each.operator === of && each.pne === pne).map(({ upTo }) => upTo)),
    since: (pne: string) => latest(undone.filter(each => each.pne === pne).map(({ since }) => since)),
  }
}

export const nameOf = ({ operator, pneId }: ModelPne): string => `${operator}/${pneId}`
/** What every PN is established with. */
export const firstAlias = 'Flat'
/** The gateway of an operator is a PNE too. */
export const gatewayId = 'gateway'
export const gatewayOf = (operator: string): string => nameOf({ operator, pneId: gatewayId })

const saidIn = <T>(facts: Facts | undefined, key: string): T | undefined => facts?.get(key)?.value as T | undefined
