import type { ClientCrypto, Crypto, Hpke, HpkeContext } from '../ports/crypto.ts'
import type { RandomStream } from './random-streams.ts'
import type { Scheduler } from './scheduler.ts'

/** Verifications remembered, twice over; each takes some 300 bytes. */
const verificationsRemembered = 100_000
/** An Ed25519 seed, and what HPKE derives a key pair from. */
const keyMaterialBytes = 32
/** A longer message is remembered by its hash. */
const longestKeptBytes = 256

/** HPKE that takes the material of new and ephemeral keys from a function, at each call. */
export type MakeHpke = (keyMaterial: () => Uint8Array) => Hpke

/**
 * The cryptography of all simulated hosts: real, so that what does not verify does not verify, and deterministic. A
 * signature that was verified once, or made here, is not verified again: a thousand replicas check the same ones.
 */
export class Cryptography {
  readonly #crypto: Crypto
  readonly #makeHpke: MakeHpke
  readonly #scheduler: Scheduler
  readonly #publicKeys = new WeakMap<Uint8Array, Uint8Array>()
  #recent = new Map<string, boolean>()
  #older = new Map<string, boolean>()

  /** @param crypto synchronous but for HPKE, which `makeHpke` makes */
  constructor(crypto: Crypto, makeHpke: MakeHpke, scheduler: Scheduler) {
    this.#crypto = announced(crypto, scheduler)
    this.#makeHpke = makeHpke
    this.#scheduler = scheduler
  }

  /** For one run of a server, with its own stream of randomness. */
  ofServer(random: RandomStream): Crypto {
    const { ed25519, ...rest } = this.#crypto
    return {
      ...rest,
      ed25519: {
        generate: () => {
          const privateKey = random.bytes(keyMaterialBytes)
          return { publicKey: ed25519.publicKey(privateKey), privateKey }
        },
        publicKey: ed25519.publicKey,
        sign: (privateKey, message) => this.#sign(privateKey, message),
        verify: (publicKey, message, signature) => this.#verify(publicKey, message, signature),
      },
      hpke: this.#hpke(random),
    }
  }

  /** For one run of a client. */
  ofClient(random: RandomStream): ClientCrypto {
    const { sha256, hmacSha256, hkdfSha256, ed25519, aesGcm, hpke } = this.ofServer(random)
    return {
      randomBytes: length => random.bytes(length),
      sha256: async bytes => sha256(bytes),
      hmacSha256: async (key, bytes) => hmacSha256(key, bytes),
      hkdfSha256: async (secret, salt, info, lengthBytes) => hkdfSha256(secret, salt, info, lengthBytes),
      ed25519PublicKey: async privateKey => ed25519.publicKey(privateKey),
      ed25519Sign: async (privateKey, message) => ed25519.sign(privateKey, message),
      ed25519Verify: async (publicKey, message, signature) => ed25519.verify(publicKey, message, signature),
      aesGcmSeal: async (key, nonce, plaintext, aad) => aesGcm.seal(key, nonce, plaintext, aad),
      aesGcmOpen: async (key, nonce, ciphertext, aad) => aesGcm.open(key, nonce, ciphertext, aad),
      hpke,
    }
  }

  #sign(privateKey: Uint8Array, message: Uint8Array): Uint8Array {
    const signature = this.#crypto.ed25519.sign(privateKey, message)
    let publicKey = this.#publicKeys.get(privateKey)
    if (!publicKey) {
      publicKey = this.#crypto.ed25519.publicKey(privateKey)
      this.#publicKeys.set(privateKey, publicKey)
    }
    this.#remember(this.#nameOf(publicKey, message, signature), true)
    return signature
  }

  #verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    const name = this.#nameOf(publicKey, message, signature)
    const known = this.#recent.get(name) ?? this.#older.get(name)
    if (known !== undefined) return known
    const holds = this.#crypto.ed25519.verify(publicKey, message, signature)
    this.#remember(name, holds)
    return holds
  }

  /** Keys and signatures of the wrong length must not be taken for others: lengths stand before them. */
  #nameOf(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): string {
    const said = message.length > longestKeptBytes ? this.#crypto.sha256(message) : message
    return `${publicKey.length} ${signature.length} ${message.length} ${latin1(publicKey)}${latin1(signature)}${latin1(said)}`
  }

  #remember(name: string, holds: boolean): void {
    this.#recent.set(name, holds)
    if (this.#recent.size < verificationsRemembered) return
    this.#older = this.#recent
    this.#recent = new Map()
  }

  /** HPKE runs on the platform's threads: its work is announced to the scheduler, piece by piece. */
  #hpke(random: RandomStream): Hpke {
    const real = this.#makeHpke(() => random.bytes(keyMaterialBytes))
    const outside = <T>(work: () => Promise<T>): Promise<T> => this.#scheduler.outside(work)
    const counted = <T extends HpkeContext>(context: T): T => ({
      ...context,
      export: (exporterContext: Uint8Array, lengthBytes: number) =>
        outside(() => context.export(exporterContext, lengthBytes)),
    })
    return {
      generateKeyPair: () => outside(() => real.generateKeyPair()),
      seal: async options => counted(await outside(() => real.seal(options))),
      open: async options => counted(await outside(() => real.open(options))),
    }
  }
}

/** The same, with what the platform does like work on its threads announced to the scheduler. */
function announced(crypto: Crypto, scheduler: Scheduler): Crypto {
  const { ed25519 } = crypto
  return {
    ...crypto,
    hkdfSha256: (...input) => scheduler.atOnce(() => crypto.hkdfSha256(...input)),
    ed25519: {
      generate: () => scheduler.atOnce(() => ed25519.generate()),
      publicKey: key => scheduler.atOnce(() => ed25519.publicKey(key)),
      sign: (key, message) => scheduler.atOnce(() => ed25519.sign(key, message)),
      verify: (key, message, signature) => scheduler.atOnce(() => ed25519.verify(key, message, signature)),
    },
  }
}

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
