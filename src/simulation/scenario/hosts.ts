import { nearestName } from '../../operations/nearest-name.ts'
import type { SimulatedFederation } from '../federation/federation.ts'
import type { SimulatedHost } from '../host.ts'
import { BadScenario } from './read-scenario.ts'
import type { Fault, Scenario } from './schema.ts'

/*
 * What a scenario means by the names of hosts: `a.example/1` a server, `a.example` all servers of an operator, `*` all servers;
 * `owner-0@a.example` a client, `@a.example` all clients of an operator, `@` all clients. A name that means nobody would be a fault
 * that never strikes, and nobody would notice.
 */

/** The names of the hosts that are meant, in order. Clients are those that there are by now. */
export function hostsOf(federation: SimulatedFederation, names: readonly string[]): string[] {
  const { servers } = federation
  return names.flatMap(name => {
    if (name.startsWith('@')) return clientsOf(federation, name.slice(1))
    const meant = servers.filter(server => name === '*' || server.operator.id === name).map(server => server.name)
    return meant.length > 0 ? meant : [name]
  })
}

/** The hosts themselves; a client that there is not yet is left out. */
export const machinesOf = (federation: SimulatedFederation, names: readonly string[]): SimulatedHost[] =>
  hostsOf(federation, names).flatMap(name => federation.world.hosts.get(name) ?? [])

const clientsOf = ({ clients }: SimulatedFederation, operator: string): string[] =>
  [...clients].filter(client => operator === '' || client.operator.id === operator).map(({ host }) => host.name)

/** Kinds of faults that strike servers alone. */
const ofServers: ReadonlySet<Fault['kind']> = new Set([
  'crash',
  'restart',
  'diskFull',
  'syncFailure',
  'bitRot',
  'churn',
])

/** @throws {BadScenario} for a host of a fault, a link or an override that there is not */
export function assertHosts(federation: SimulatedFederation, { faults, links, nodes }: Scenario): void {
  for (const [index, fault] of faults.entries()) {
    for (const [path, name] of namesIn(fault)) {
      assertName(federation, name, `faults.${index}.${path}`)
      if (!name.includes('@') || !ofServers.has(fault.kind)) continue
      throw new BadScenario(`faults.${index}.${path}: ${name} is a client, but ${fault.kind} strikes servers.`)
    }
  }
  for (const [index, { hosts }] of nodes.overrides.entries()) {
    for (const [at, name] of hosts.entries()) {
      const path = `nodes.overrides.${index}.hosts.${at}`
      assertName(federation, name, path)
      if (name.includes('@')) throw new BadScenario(`${path}: ${name} is a client: nodes are servers.`)
    }
  }
  for (const [index, { from, to }] of links.overrides.entries()) {
    assertName(federation, from, `links.overrides.${index}.from`)
    assertName(federation, to, `links.overrides.${index}.to`)
  }
}

function* namesIn(fault: Fault): Generator<readonly [path: string, name: string]> {
  if ('targets' in fault) for (const [at, name] of fault.targets?.entries() ?? []) yield [`targets.${at}`, name]
  if ('from' in fault && fault.from !== undefined) yield ['from', fault.from]
  if ('to' in fault && fault.to !== undefined) yield ['to', fault.to]
  if (fault.kind === 'hostile') for (const [at, name] of fault.operators.entries()) yield [`operators.${at}`, name]
  if (fault.kind !== 'partition') return
  for (const [at, group] of fault.groups?.entries() ?? []) {
    for (const [place, name] of group.entries()) yield [`groups.${at}.${place}`, name]
  }
}

/** Clients are made as they are needed: only their operator is known before. */
function assertName({ operators, servers }: SimulatedFederation, name: string, path: string): void {
  const ids: string[] = operators.map(({ id }) => id)
  const known = ['*', '@', ...ids, ...ids.map(id => `@${id}`), ...servers.map(server => server.name)]
  const at = name.lastIndexOf('@')
  if (known.includes(name) || (at > 0 && ids.includes(name.slice(at + 1)))) return
  const nearest = nearestName(name, known)
  throw new BadScenario(
    `${path}: there is no host "${name}"${nearest === undefined ? '' : `; did you mean "${nearest}"?`}.`,
  )
}
