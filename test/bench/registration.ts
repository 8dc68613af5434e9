import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hpke } from '../../src/adapters/hpke.ts'
import type { Hpke } from '../../src/ports/crypto.ts'
import { type Bench, type Figure, type Measured, measured, median } from './bench.ts'
import { capacity } from './registration-capacity.ts'
import {
  admit,
  BenchPne,
  type BenchServer,
  benchServer,
  crypto,
  each,
  establish,
  register,
} from './registration-server.ts'

/*
 * What a full registration costs its operator's server (challenge, sealed request, confirmation, two durable writes; for who
 * is no member the admission too), beside the bare cryptography in the same rounds: the HPKE open and seal of every message
 * that the PNE seals. A member that registers again seals its request, and goes by the name that it was given before; who
 * registers for the first time seals its name too. The PNEs' own halves are done between the server's, and not counted.
 */

const rounds = 9
/** What runs for the first times is compiled meanwhile. */
const warmUpRounds = 4
const perRound = 400
/** As many as a household has; each round fills new Personal Networks. */
const pnesEach = 10
const atOnce = 64
/** Of the processors' time for the bare HPKE open and seal of what is sealed. */
const wantedRatio = 2

/** The messages that are sealed in each case. */
const messages = { 'member again': 1, 'non-member': 2 } as const
type Case = keyof typeof messages
const cases: readonly Case[] = ['member again', 'non-member']

export const registrationBench: Bench = {
  name: 'registration',
  summary: `full registrations, ${atOnce} at once, ${pnesEach} in each Personal Network, beside the bare HPKE open and seal; and how many fit`,
  run: progress =>
    inFolder(async folder => [
      ...(await throughput(join(folder, 'throughput'), progress)),
      ...(await capacity(join(folder, 'capacity'), progress)),
    ]),
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function throughput(folder: string, progress: (line: string) => void): Promise<Figure[]> {
  const server = await benchServer(folder)
  try {
    return await compare(server, progress)
  } finally {
    await server.close()
  }
}

/** Rounds of all in turn, so that what disturbs the machine disturbs all. */
async function compare(server: BenchServer, progress: (line: string) => void): Promise<Figure[]> {
  const bare: Measured[] = []
  const own: Measured[] = []
  const full = { 'member again': [] as Measured[], 'non-member': [] as Measured[] }
  for (let round = -warmUpRounds; round < rounds; round++) {
    const yardstick = await measured(() => openAndSeal(library))
    const ours = await measured(() => openAndSeal(crypto.hpke))
    if (round >= 0) bare.push(yardstick)
    if (round >= 0) own.push(ours)
    for (const which of cases) {
      const result = await registrations(server, which, round)
      if (round < 0) continue
      full[which].push(result)
      progress(
        `round ${round + 1}, ${which}: ${Math.round(result.perSecond)} registrations/s at ${result.cpuUs.toFixed(0)} µs ` +
          `CPU; HPKE open + seal ${yardstick.cpuUs.toFixed(0)} µs`,
      )
    }
  }
  return [
    { name: 'HPKE open + seal, CPU', value: cpuOf(bare), unit: 'µs' },
    { name: 'the same as the server opens, CPU', value: cpuOf(own), unit: 'µs' },
    ...cases.flatMap((which): Figure[] => [
      { name: which, value: median(full[which].map(({ perSecond }) => perSecond)), unit: 'registrations/s' },
      { name: `${which}, CPU`, value: cpuOf(full[which]), unit: 'µs/registration' },
      {
        name: `${which}, CPU beside ${messages[which]} × HPKE`,
        value: beside(full[which], bare) / messages[which],
        unit: '×',
        atMost: wantedRatio,
      },
      ...(messages[which] === 1
        ? []
        : [{ name: `${which}, CPU beside 1 × HPKE`, value: beside(full[which], bare), unit: '×' }]),
    ]),
  ]
}

/** Each round beside the yardstick of the same round. */
const beside = (full: readonly Measured[], bare: readonly Measured[]): number =>
  median(full.map(({ cpuUs }, round) => cpuUs / (bare[round]?.cpuUs ?? 0)))

const cpuOf = (rounds: readonly Measured[]) => median(rounds.map(({ cpuUs }) => cpuUs))

/**
 * The yardstick: one message sealed, with a pre-shared key, and opened, by the HPKE library that PNEs and browsers use. The
 * server opens by `node-hpke.ts`, which is quicker: that is part of how it keeps its registrations cheap, so what the
 * same takes with that is told beside it.
 */
const library = hpke()

async function openAndSeal(suite: Hpke): Promise<number> {
  const { publicKey, privateKey } = await suite.generateKeyPair()
  const text = new Uint8Array(120)
  const shared = {
    info: new Uint8Array(300),
    aad: new Uint8Array(0),
    psk: { id: text.subarray(0, 8), key: text.slice(0, 32) },
  }
  const messages = Array.from({ length: perRound }, () => text)
  return each(messages, atOnce, async plaintext => {
    const { enc, ciphertext } = await suite.seal({ ...shared, recipientPublicKey: publicKey, plaintext })
    await suite.open({ ...shared, recipientPrivateKey: privateKey, enc, ciphertext })
  })
}

/** The server's part of `perRound` registrations. */
async function registrations(server: BenchServer, which: Case, round: number): Promise<Measured> {
  const pnIds = Array.from({ length: perRound / pnesEach }, (_, at) => `${which.replace(' ', '-')}-${round}-${at}`)
  await each(pnIds, atOnce, pnId => establish(server, pnId))
  const elements = Array.from({ length: pnesEach }, (_, at) => `pne-${at}`)
  const pnes = elements.flatMap(pneId => pnIds.map(pnId => new BenchPne(pnId, pneId)))
  if (which === 'member again') {
    await each(pnIds, atOnce, pnId => admit(server, pnId, elements))
    await each(pnes, atOnce, pne => register(server, pne))
  }
  const steps = [
    await measured(() => each(pnes, atOnce, pne => pne.challenge(server))),
    await untimed(() => each(pnes, atOnce, pne => pne.seal())),
    await measured(() =>
      each(pnes, atOnce, async pne => {
        if (which === 'non-member') await admit(server, pne.pnId, [pne.pneId])
        await pne.register(server)
      }),
    ),
    await untimed(() => each(pnes, atOnce, pne => pne.open())),
    await measured(() => each(pnes, atOnce, pne => pne.confirm(server))),
  ].filter(step => step !== undefined)
  const sum = (of: (step: Measured) => number) => steps.reduce((total, step) => total + of(step), 0)
  return { perSecond: 1 / sum(({ perSecond }) => 1 / perSecond), cpuUs: sum(({ cpuUs }) => cpuUs) }
}

async function untimed(work: () => Promise<unknown>): Promise<undefined> {
  await work()
}
