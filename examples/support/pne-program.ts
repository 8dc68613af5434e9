/*
 * A device as a program: it looks who is in its Personal Network, or registers, through the gateway beside it, and says
 * how that went. Told on its input: see `ToldPne`.
 */
import { operatorId, personalNetworkElement } from '../../src/client/node.ts'
import { bytesOf, say, told } from './told.ts'

export interface ToldPne {
  readonly what: 'register' | 'lookup'
  readonly gatewayUrl: string
  readonly network: { readonly home: string; readonly pnId: string }
  readonly operator: string
  readonly pneId: string
  /** Its pre-shared key, base64url. */
  readonly key: string
  /** By which the gateway knows it again, base64url. */
  readonly pairingSecret: string
  readonly capabilities: Readonly<Record<string, string>>
}

const { what, gatewayUrl, network, operator, pneId, key, pairingSecret, capabilities } = await told<ToldPne>()
const pne = personalNetworkElement({
  gatewayUrl,
  home: operatorId(network.home),
  pnId: network.pnId,
  operator: operatorId(operator),
  pneId,
  key: bytesOf(key),
  pairingSecret: bytesOf(pairingSecret),
  capabilities,
  attempts: 20,
})

try {
  if (what === 'lookup') say('found', await pne.lookup())
  else {
    const { cpnsId } = await pne.register()
    say('registered', { cpnsId })
  }
} catch (error) {
  console.error(error)
  process.exitCode = 1
}
