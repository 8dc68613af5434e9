/*
 * Nodes that break a promise on purpose. A mutation replaces text of the node's own source as it is loaded, in a process of its
 * own: the production code knows nothing of it, and text that is no longer there is an error, so that no mutation dies unseen.
 */

export interface Edit {
  /** Below `src`. */
  readonly file: string
  /** Stands there exactly once. */
  readonly from: string
  readonly to: string
}

export interface Mutation {
  readonly name: string
  /** What the node promises, and this one does not keep. */
  readonly breaks: string
  readonly edits: readonly Edit[]
  /** In this folder, or below `examples/simulation`. */
  readonly scenario: string
  /** A seed that shows it. It changes with every change of the node's timing: `run.ts` finds another. */
  readonly seed: number
  /** How it shows there: an invariant, or why else the run fails. */
  readonly shows: string
}

export const mutations: readonly Mutation[] = [
  {
    name: 'acknowledges before fsync',
    breaks: 'durable before visible',
    edits: [
      {
        file: 'adapters/table-log-store.ts',
        from: '    return batch.done.promise\n',
        to: '    batch.done.promise.catch(() => {})\n    return Promise.resolve()\n',
      },
      // The process still reads what it wrote, as it would from an operating system: nothing but a crash shows the lie.
      {
        file: 'adapters/table-log-store.ts',
        from: '    return table.get(key)\n',
        to: '    return Promise.resolve(flushing).then(() => table.get(key))\n',
      },
      {
        file: 'adapters/table-log-store.ts',
        from: '    return table.keys(range)\n',
        to: '    return (async function* () {\n      await flushing\n      yield* table.keys(range)\n    })()\n',
      },
      {
        file: 'adapters/table-log-store.ts',
        from: '    return table.records(range)\n',
        to: '    return (async function* () {\n      await flushing\n      yield* table.records(range)\n    })()\n',
      },
    ],
    scenario: 'swarm.yaml',
    seed: 1,
    shows: 'no-convergence',
  },
  {
    name: 'shows before durable',
    breaks: 'durable before visible',
    edits: [
      {
        file: 'document/document-actor.ts',
        from: '        await this.#store(batch, appended)\n        if (appended) this.#showOwn(appended, [...batch.changes.keys()])\n',
        to: '        if (appended) this.#showOwn(appended, [...batch.changes.keys()])\n        await this.#store(batch, appended)\n',
      },
    ],
    scenario: 'swarm.yaml',
    seed: 46,
    shows: 'no-older-stamps',
  },
  {
    name: 'skips the guard',
    breaks: 'what a peer sends cannot throw, hang or stay pending',
    edits: [
      {
        file: 'document/admission.ts',
        from: '    const verdict = guardUpdate(update, { root: log, clientId, nextClock })\n',
        to: '    const verdict = { ok: true, nextClock }\n',
      },
    ],
    scenario: 'hostile-owner.yaml',
    seed: 2,
    shows: 'guarded-entries',
  },
  {
    name: 'believes every signature',
    breaks: 'nobody writes in the name of another',
    edits: [
      {
        file: 'document/admission.ts',
        from: '    else if (!this.#rules.signatures.hold(sealed)) ',
        to: '    else if (false) ',
      },
    ],
    scenario: 'hostile.yaml',
    seed: 4,
    shows: 'no-actor-errors',
  },
  {
    name: 'reuses a log id',
    breaks: 'a log id is never used again, so that a lost disk cannot rewrite history',
    edits: [
      {
        file: 'document/append.ts',
        from: '  for (;;) {\n    const log = newLogId(random)\n',
        to: [
          '  for (let tries = 0; ; tries++) {',
          '    const seed = new TextEncoder().encode(`$' + '{document} $' + '{context.identity.server} $' + '{tries}`)',
          '    const log = newLogId({ ...random, bytes: length => crypto.sha256(seed).slice(0, length) })\n',
        ].join('\n'),
      },
    ],
    scenario: 'swarm.yaml',
    seed: 1,
    shows: 'no-convergence',
  },
  {
    name: 'drops marks at once',
    breaks: 'a mark stays until every server of the owner has it',
    edits: [
      {
        file: 'document/copy-plan.ts',
        from: '  if (register.value !== null || !source.receiptsAreHere || !source.isCaughtUp) return false\n',
        // Marks alone: what is not a mark is copied as ever.
        to: '  if (register.value !== null) return false\n  if (register.value === null) return true\n',
      },
    ],
    scenario: 'swarm.yaml',
    seed: 4,
    shows: 'acknowledged-writes',
  },
  {
    name: 'believes a receipt that nobody gave',
    breaks: 'a mark stays until every server of the owner has receipted it',
    edits: [
      {
        file: 'document/copy-plan.ts',
        from: '    server => server === source.self || (source.receipts.get(server)?.get(place.log) ?? 0) > place.seq,\n',
        to: '    server => server === source.self || source.receipts.has(server),\n',
      },
    ],
    scenario: 'marks.yaml',
    seed: 17,
    shows: 'acknowledged-writes',
  },
  {
    name: 'lets a foreign clock win',
    breaks: 'stamps are made by the own clock',
    edits: [
      {
        file: 'federation/peer-clock.ts',
        from: '    this.#told = clockMs - clock.now()\n',
        to: '    this.#told = clockMs - clock.now()\n    const ahead = clock as { aheadMs?: number }\n    ahead.aheadMs = Math.max(ahead.aheadMs ?? 0, this.#told)\n',
      },
      {
        file: 'document/append.ts',
        from: 'attempt(view, mutation, clock.now(), pen)',
        to: 'attempt(view, mutation, clock.now() + ((clock as { aheadMs?: number }).aheadMs ?? 0), pen)',
      },
    ],
    scenario: 'swarm.yaml',
    seed: 1,
    shows: 'own-stamps',
  },
  {
    name: 'stamps below what it replaces',
    breaks: 'a write wins over what its server has seen',
    edits: [
      {
        file: 'document/draft.ts',
        from: '  const stamp = before && before.stamp >= now ? before.stamp + 1 : now\n',
        to: '  const stamp = now\n',
      },
    ],
    scenario: 'swarm.yaml',
    seed: 1,
    shows: 'same-entries-same-content',
  },
]
