import { roamingCertify } from '../../access/roaming/methods.ts'
import { toBase64url } from '../../commands/framing.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ClientCrypto } from '../../ports/crypto.ts'
import type { DeviceCredential } from '../authenticate.ts'
import type { Session } from '../session.ts'

/*
 * What a client proves itself with at servers of other operators: a key of its own, made when it is first needed and never kept
 * over the end of the program, and its operator's certificate for it.
 */

const keyBytes = 32
/** Renewed when so much of its time is over, so that it is good when it is needed. */
const renewAtShare = 0.5

export class DeviceCertificate {
  readonly #crypto: ClientCrypto
  readonly #clock: Pick<Clock, 'now'>
  #key: Uint8Array | undefined
  #held: { readonly certificate: string; readonly issued: number; readonly expires: number } | undefined

  constructor(crypto: ClientCrypto, clock: Pick<Clock, 'now'>) {
    this.#crypto = crypto
    this.#clock = clock
  }

  /** `undefined` while there is none that is good. */
  get credential(): DeviceCredential | undefined {
    const held = this.#held
    if (!held || !this.#key || held.expires <= this.#clock.now()) return undefined
    return { kind: 'device', certificate: held.certificate, privateKey: this.#key }
  }

  /** Asks for one at the client's own operator, if it is time to. @throws as {@link Session.call} */
  async renew(session: Session): Promise<void> {
    const now = this.#clock.now()
    const held = this.#held
    if (held && now < held.issued + (held.expires - held.issued) * renewAtShare) return
    this.#key ??= this.#crypto.randomBytes(keyBytes)
    const publicKey = toBase64url(await this.#crypto.ed25519PublicKey(this.#key))
    const { certificate, expires } = await session.call(roamingCertify, { publicKey }, { prove: false })
    this.#held = { certificate, issued: now, expires }
  }
}
