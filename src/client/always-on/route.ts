import type { ServedPolicy } from '../../access/policy/served-policy.ts'
import type { ServerId } from '../../ports/names.ts'

/*
 * In which order a client tries the servers of its operator, and which of them it is to be at. Decisions only.
 */

type Servers = Pick<ServedPolicy, 'servers' | 'allocation'>
export type RoutedServer = ServedPolicy['servers'][number]

/**
 * The servers of a round: by order, within one order by chance, each with one in proportion to its weight; with the allocation
 * `weighted` by chance alone. Among its equals the one that was lost just now comes last: it is the least likely to be there.
 *
 * @param fraction gives numbers uniform in [0, 1)
 */
export function route(
  { servers, allocation }: Servers,
  lost: ServerId | undefined,
  fraction: () => number,
): RoutedServer[] {
  // The least of exponential variables, each with a rate, is the one of a server with a chance in proportion to its rate.
  const drawn = servers.map(server => ({ server, at: -Math.log(1 - fraction()) / server.weight }))
  const rank = ({ order, server }: RoutedServer) =>
    [allocation === 'ordered' ? order : 0, Number(server === lost)] as const
  return drawn
    .sort((a, b) => {
      const [orderA, isLostA] = rank(a.server)
      const [orderB, isLostB] = rank(b.server)
      return orderA - orderB || isLostA - isLostB || a.at - b.at
    })
    .map(({ server }) => server)
}

/** Whether a client is where it is to be: at a server that nothing in the policy is preferred to. */
export function isPreferred({ servers, allocation }: Servers, server: ServerId): boolean {
  // A policy that knows of no server says nothing about this one.
  if (servers.length === 0) return true
  const found = servers.find(each => each.server === server)
  if (!found) return false
  return allocation === 'weighted' || found.order === Math.min(...servers.map(({ order }) => order))
}
