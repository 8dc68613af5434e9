import fc from 'fast-check'
import { type Flag, flag } from '../../../src/storage/fields.ts'

/*
 * Random histories. Which objects and folders there are is known only on the way, so steps draw numbers to pick by.
 */

export type Step = {
  /** Of `servers`. */
  readonly at: number
  /** The server loses power so long after the step began. */
  readonly crashAfterMs: number | undefined
} & (
  | { readonly kind: 'deposit'; readonly message: number; readonly isNamed: boolean; readonly flags: readonly Flag[] }
  | {
      readonly kind: 'flag'
      readonly object: number
      readonly flag: Flag
      readonly isOn: boolean
      /** How many steps ago the user wanted it. */
      readonly ago: number
    }
  | { readonly kind: 'copy' | 'move'; readonly object: number; readonly folder: number }
  | { readonly kind: 'expunge'; readonly object: number }
  | { readonly kind: 'clear'; readonly object: number }
  | { readonly kind: 'folder'; readonly name: number; readonly parent: number | undefined }
  | { readonly kind: 'rename'; readonly folder: number; readonly name: number }
  | { readonly kind: 'remove'; readonly folder: number }
  | { readonly kind: 'sync'; readonly device: number; readonly limit: number; readonly pages: number }
  /** A device comes back as it was some time ago. */
  | { readonly kind: 'restore'; readonly device: number; readonly ago: number }
)

export interface Round {
  /** For each server the side that it is on. */
  readonly sides: readonly number[]
  readonly steps: readonly Step[]
  /** When so much time passes that what is marked \\Deleted is expunged: before the heal, or after it. */
  readonly waits: 'never' | 'apart' | 'healed'
  /** The server whose disk is replaced by an empty one after the heal. */
  readonly lost: number | undefined
}

export interface Plan {
  readonly seed: number
  /**
   * What the mailbox document keeps for other things than conversations: in most histories all of it, or all but what few
   * registers take, so that there are several index parts.
   */
  readonly reserveBytes: number
  readonly skewsMs: readonly number[]
  readonly rounds: readonly Round[]
  /** Whether the user is removed at the end. */
  readonly isRemoved: boolean
}

export const servers = ['a.example/1', 'a.example/2', 'b.example/1'] as const
export const deviceCount = 4

const someFlag = fc.constantFrom(...flag.options.slice(0, 4))
const pick = fc.nat(1_000)
const common = {
  at: fc.nat(servers.length - 1),
  crashAfterMs: fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(20) }),
}
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      ...common,
      kind: fc.constant('deposit' as const),
      message: fc.nat(11),
      isNamed: fc.boolean(),
      flags: fc.uniqueArray(someFlag, { maxLength: 2 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      ...common,
      kind: fc.constant('flag' as const),
      object: pick,
      flag: someFlag,
      isOn: fc.boolean(),
      ago: fc.oneof(fc.constant(0), fc.nat(12)),
    }),
  },
  { weight: 3, arbitrary: fc.record({ ...common, kind: fc.constant('copy' as const), object: pick, folder: pick }) },
  { weight: 4, arbitrary: fc.record({ ...common, kind: fc.constant('move' as const), object: pick, folder: pick }) },
  { weight: 3, arbitrary: fc.record({ ...common, kind: fc.constant('expunge' as const), object: pick }) },
  { weight: 1, arbitrary: fc.record({ ...common, kind: fc.constant('clear' as const), object: pick }) },
  {
    weight: 3,
    arbitrary: fc.record({
      ...common,
      kind: fc.constant('folder' as const),
      name: fc.nat(5),
      parent: fc.option(pick, { nil: undefined }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ ...common, kind: fc.constant('rename' as const), folder: pick, name: fc.nat(5) }),
  },
  { weight: 1, arbitrary: fc.record({ ...common, kind: fc.constant('remove' as const), folder: pick }) },
  {
    weight: 10,
    arbitrary: fc.record({
      ...common,
      kind: fc.constant('sync' as const),
      device: fc.nat(deviceCount - 1),
      limit: fc.constantFrom(1, 2, 3, 500),
      pages: fc.constantFrom(1, 2, 100, 100),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      ...common,
      kind: fc.constant('restore' as const),
      device: fc.nat(deviceCount - 1),
      ago: fc.nat(3),
    }),
  },
)

const documentBytes = 4 * 2 ** 20
export const plans: fc.Arbitrary<Plan> = fc.record({
  seed: fc.nat(1_000_000),
  reserveBytes: fc.constantFrom(documentBytes, documentBytes - 4_000, documentBytes - 8_000, documentBytes / 2),
  skewsMs: fc.array(fc.integer({ min: -2_000, max: 2_000 }), { minLength: 3, maxLength: 3 }),
  rounds: fc.array(
    fc.record({
      sides: fc.array(fc.nat(1), { minLength: 3, maxLength: 3 }),
      steps: fc.array(step, { minLength: 4, maxLength: 16 }),
      waits: fc.constantFrom('never' as const, 'never' as const, 'apart' as const, 'healed' as const),
      lost: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(2) }),
    }),
    { minLength: 2, maxLength: 4 },
  ),
  isRemoved: fc.boolean(),
})
