import { operatorId } from '../ports/names.ts'
import { askedJson } from './ask-node.ts'
import { openNodeFolder } from './node-folder.ts'

interface Options {
  readonly config: string
  readonly json?: true
}

/** @throws {NodeNotReached} {@link Refused} */
export async function quarantinePeer(name: string, options: Options & { readonly why: string }): Promise<void> {
  const operator = operatorId(name)
  const folder = await openNodeFolder(options.config)
  const said = await askedJson(folder, 'PUT', `/v1/peers/${operator}/quarantine`, { why: options.why })
  if (options.json) console.log(JSON.stringify(said))
  else console.log(`${operator} is in quarantine. To end that: cpns peer release ${operator}`)
}

/** @throws {NodeNotReached} {@link Refused} */
export async function releasePeer(name: string, options: Options): Promise<void> {
  const operator = operatorId(name)
  const said = await askedJson(await openNodeFolder(options.config), 'DELETE', `/v1/peers/${operator}/quarantine`)
  console.log(options.json ? JSON.stringify(said) : `${operator} is released.`)
}
