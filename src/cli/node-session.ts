import { type Command, Option } from 'commander'
import { readSecret } from '../adapters/files.ts'
import { connect, operatorId, type Session, serverId } from '../client/node.ts'
import { jsonOption } from './options.ts'
import { Refused } from './problems.ts'

/*
 * Commands that are clients of a running node: a subscriber of its operator, over the node's URL, like any other.
 */

export interface NodeOptions {
  readonly url: string
  readonly server: string
  readonly operator: string
  readonly identity: string
  readonly pskFile?: string
  readonly json?: true
}

export const withNode = (command: Command): Command =>
  command
    .addOption(
      new Option('--url <url>', 'of the node: wss://…, or ws://… on this machine')
        .env('CPNS_URL')
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--server <id>', 'of the node, as cpns start prints it: nothing is proved to any other')
        .env('CPNS_SERVER')
        .makeOptionMandatory(),
    )
    .addOption(new Option('--operator <name>', 'whose node it is').env('CPNS_OPERATOR').makeOptionMandatory())
    .addOption(new Option('--identity <subscriber>', 'who you are there').env('CPNS_IDENTITY').makeOptionMandatory())
    .addOption(
      new Option('--psk-file <file>', 'holds your pre-shared key in base64url, mode 0600; else CPNS_PSK has it'),
    )
    .addOption(jsonOption())

/** @throws {Refused} {@link RequestRefused} {@link ServerNotTrusted} {@link ConnectFailed} */
export async function atNode<T>(options: NodeOptions, work: (session: Session) => Promise<T>): Promise<T> {
  const { url, server, operator, identity } = options
  const session = await connect({
    urls: [url],
    servers: [serverId(server)],
    operator: operatorId(operator),
    identity,
    credential: { kind: 'psk', key: await pskOf(options) },
    reconnect: false,
  })
  try {
    return await work(session)
  } finally {
    session.close()
  }
}

async function pskOf({ pskFile }: NodeOptions): Promise<Uint8Array> {
  const text = pskFile === undefined ? process.env.CPNS_PSK : await readSecret(pskFile)
  if (text === undefined)
    throw new Refused('Give your pre-shared key with --psk-file, or in the environment as CPNS_PSK.')
  return new Uint8Array(Buffer.from(text.trim(), 'base64url'))
}
