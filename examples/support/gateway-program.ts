/*
 * A PN gateway as a program: it keeps what it knows in a folder, and says what happens. Told on its input: see `ToldGateway`.
 */
import { gatewayFileStore, openGateway, operatorId, serverId } from '../../src/client/node.ts'
import { bytesOf, say, told } from './told.ts'

export interface ToldGateway {
  readonly gatewayId: string
  readonly network: { readonly home: string; readonly pnId: string }
  readonly operator: string
  /** Its pre-shared key, base64url. */
  readonly key: string
  readonly server: string
  readonly serverUrl: string
  /** Where PNEs find it on loopback. */
  readonly port: number
  readonly folder: string
}

const { gatewayId, network, operator, key, server, serverUrl, port, folder } = await told<ToldGateway>()

const gateway = await openGateway({
  gatewayId,
  networks: [{ home: operatorId(network.home), pnId: network.pnId }],
  session: {
    operator: operatorId(operator),
    identity: gatewayId,
    credential: { kind: 'psk', key: bytesOf(key) },
    servers: [serverId(server)],
    urls: [serverUrl],
    longestPauseMs: 500,
  },
  listen: { port },
  store: gatewayFileStore(folder),
  onEvent(event) {
    const pne = 'pne' in event ? event.pne : 'command' in event ? (event.command as { pne?: object }).pne : undefined
    say(event.type, { pne })
  },
})
const waiting = gateway.waiting().length
say('open', { url: gateway.url(), state: gateway.state, waiting })
process.once('SIGTERM', () => void gateway.stop())
