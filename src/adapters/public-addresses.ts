import type { LookupAddress, LookupOptions } from 'node:dns'
import { BlockList, isIP } from 'node:net'
import { isLoopback } from './loopback.ts'

/*
 * Which addresses a server may reach on behalf of somebody it does not trust: public ones alone, whatever name stands before
 * them. So nobody can have it ask its own network, or itself (server-side request forgery).
 */

/** What the registries of special-purpose addresses (RFC 6890 and its updates) keep from the public network. */
const special = new BlockList()
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  special.addSubnet(network, prefix, 'ipv4')
}
for (const [network, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  special.addSubnet(network, prefix, 'ipv6')
}

/** Everything else in IPv6 is not given out: mapped, translated, unique local, link-local and multicast addresses among it. */
const globalUnicast = new BlockList()
globalUnicast.addSubnet('2000::', 3, 'ipv6')

/** Whether an IP address is one of the public network. A name is not an address: resolve it first. */
export function isPublic(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !special.check(address, 'ipv4')
    case 6:
      return globalUnicast.check(address, 'ipv6') && !special.check(address, 'ipv6')
    default:
      return false
  }
}

/** Which addresses may be reached. */
export type Reach = 'public' | 'public-and-loopback' | 'loopback'

export function isWithin(reach: Reach, address: string): boolean {
  switch (reach) {
    case 'public':
      return isPublic(address)
    case 'loopback':
      return isLoopback(address)
    case 'public-and-loopback':
      return isPublic(address) || isLoopback(address)
  }
}

/** A name that leads to where nobody may be led. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

/** All addresses of a name, as `dns.lookup` gives them. */
export type ResolveAll = (
  hostname: string,
  options: LookupOptions & { readonly all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void

/**
 * A `lookup` for sockets that fails with {@link AddressRefused} when any address of the name is out of reach. The socket connects
 * to what was checked: a name cannot change in between.
 */
export function lookupWithin(reach: Reach, resolve: ResolveAll) {
  return (hostname: string, options: LookupOptions, callback: LookupCallback): void =>
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? []
      if (error) callback(error, [])
      else if (!first || !addresses.every(({ address }) => isWithin(reach, address))) {
        callback(new AddressRefused('The name leads to an address that is not public.'), [])
      } else if (options.all) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
}
