/*
 * What the table of all benchmarks shows by itself: the scenarios in which this server stands beside others, and beside what the machine
 * can do at most. Figures are named as the benchmarks name them; of what they do not tell the table says that it was not measured.
 */

export interface Scenario {
  readonly bench: string
  readonly what: string
  /** Where more is said, from the top of the repository. */
  readonly page: string
  readonly rows: readonly Row[]
}

export interface Row {
  readonly what: string
  /** The figure of this server. */
  readonly own: string
  /** Those that it stands beside, each with what the table calls it. */
  readonly beside: readonly (readonly [label: string, figure: string])[]
  /** The figure that carries the bound, where it is another one. */
  readonly judged?: string
  /** Why it is missed, as measured, in a word. */
  readonly missedBy?: string
}

const peers = {
  bare: 'bare ws',
  memory: 'y-websocket in memory',
  disk: 'y-websocket with LevelDB',
  hocuspocus: 'hocuspocus with SQLite',
  automerge: 'automerge-repo with files',
}

/** Of what each server did: all their figures end alike. */
const each = (end: string, others: readonly string[], rest: Omit<Row, 'own' | 'beside'>): Row => ({
  own: `this server, ${end}`,
  beside: others.map(name => [name, `${name}, ${end}`]),
  ...rest,
})

const { bare, memory, disk, hocuspocus, automerge } = peers
const openers = [bare, disk, hocuspocus, automerge]
const stored = [disk, hocuspocus, automerge]

const many = 'this server among many documents'
const among = (end: string, rest: Omit<Row, 'own' | 'beside'>): Row => ({ own: `${many}${end}`, beside: [], ...rest })

export const scenarios: readonly Scenario[] = [
  {
    ...{ bench: 'fan-out', what: 'one document, 1,000 observers, 20 writes a second' },
    page: 'test/bench/README.md#fan-out-one-document-1000-observers-20-writes-a-second',
    rows: [
      each('server CPU for a delivery', [bare, 'y-websocket', hocuspocus], {
        what: 'server CPU for a delivery',
        judged: 'this server beside bare ws',
        missedBy: 'the command, 2.5 ms of all threads, and 1 µs an observer',
      }),
    ],
  },
  {
    ...{ bench: 'full-speed', what: 'the same, as fast as it goes' },
    page: 'test/bench/README.md#full-speed-the-same-document-written-as-fast-as-it-goes',
    rows: [
      each('writes that all observers have', [hocuspocus, memory, bare], {
        what: 'writes that all observers have',
        judged: 'this server’s writes beside hocuspocus’s',
      }),
    ],
  },
  {
    ...{ bench: 'documents', what: '2,000 documents, a writer and an observer each' },
    page: 'test/bench/README.md#documents-2000-documents-a-writer-and-an-observer-each',
    rows: [
      each('server CPU for a write delivered', [bare, memory, disk, hocuspocus, automerge], {
        what: 'server CPU for a write delivered',
        missedBy: 'hash, signature and fsync of a write alone are 3.4 times bare ws',
      }),
      each('until its observer is told, p50', [bare, memory, disk, hocuspocus, automerge], {
        what: 'until its observer is told, p50',
        judged: 'this server’s p50 beside y-websocket’s in memory',
        missedBy: 'a batch of LevelDB that is safe takes 1.4 times as long by itself',
      }),
    ],
  },
  {
    ...{ bench: 'idle', what: '5,000 idle connections on 5,000 documents' },
    page: 'test/bench/README.md#idle-5000-connections-that-say-nothing-on-5000-documents',
    rows: [
      each('idle connection, resident', [bare, memory, hocuspocus], {
        what: 'memory of each',
        missedBy: '15 KiB in three hundred small objects, 7 of room in the heap, 4 beneath it',
      }),
      each('in use after they have left', [bare, memory, hocuspocus], { what: 'memory after they have left' }),
    ],
  },
  {
    ...{ bench: 'cold-open', what: 'cold open over a new connection, 10,000 documents on the disk' },
    page: 'test/bench/README.md#cold-open-a-document-on-the-disk-over-a-new-connection',
    rows: [
      each('until the content is there, p50', openers, { what: 'p50' }),
      each('until the content is there, p99', openers, { what: 'p99' }),
      each('server CPU', openers, {
        what: 'server CPU, bounded beyond authentication',
        judged: 'this server, server CPU beyond authentication',
      }),
      each('64 at a time', openers, {
        what: '64 at a time',
        judged: 'this server beside hocuspocus, 64 at a time',
      }),
      among(', until the content is there, p50', { what: 'among 1,000,000 documents, p50' }),
      among(', until the content is there, p99', { what: 'among 1,000,000 documents, p99' }),
      among(', server CPU', {
        what: 'among 1,000,000 documents, server CPU, bounded beyond authentication',
        judged: `${many}, server CPU beyond authentication`,
      }),
      among(', 64 at a time', {
        what: 'among 1,000,000 documents, 64 at a time',
        judged: `${many} beside hocuspocus, 64 at a time`,
      }),
      among(', memory without pages of files', {
        what: 'memory with 1,000,000 documents and the hash tree of two peers',
        missedBy: 'garbage that V8 leaves until it has 256 MiB; 341 at rest',
      }),
    ],
  },
  {
    ...{ bench: 'crash', what: '`kill -9` after 5 s of 64 writers at full speed' },
    page: 'test/bench/README.md#crash-kill--9-after-5-s-of-64-writers',
    rows: [
      each('acknowledged writes lost to kill -9', stored, { what: 'acknowledged writes lost' }),
      {
        ...{ what: 'acknowledged writes', own: 'this server, acknowledged writes' },
        beside: [
          ...stored.map(name => [name, `${name}, acknowledged writes`] as const),
          ['append loop with fsync', 'append loop with fsync, records'],
        ],
        missedBy: 'processors: 0.3 to 0.4 ms a command',
      },
    ],
  },
  {
    ...{ bench: 'reconcile', what: 'two servers, 100,000 documents, 100 changed on each side while apart' },
    page: 'src/federation/README.md#what-it-takes',
    rows: [
      {
        ...{ what: 'bytes both ways', own: '100000, 100 changed on each side: bytes both ways' },
        beside: [['state vectors in one batch', '100000, 100 changed on each side, naive: bytes']],
      },
      { what: 'round trips', own: '100000, 100 changed on each side: round trips', beside: [] },
      {
        ...{ what: 'CPU, who drives', own: '100000, 100 changed on each side: processor time, who drives' },
        beside: [
          ['state vectors in one batch, both sides', '100000, 100 changed on each side, naive: processor time, both'],
        ],
      },
      {
        ...{ what: 'CPU, who answers', own: '100000, 100 changed on each side: processor time, who answers' },
        beside: [],
      },
    ],
  },
  {
    ...{ bench: 'replication', what: 'live replication between two servers, and catch-up of an empty one' },
    page: 'test/bench/README.md#replication-a-server-that-only-stores-what-another-one-writes',
    rows: [
      {
        ...{ what: 'entries stored', own: 'live: entries that the other server stored' },
        beside: [['the sender’s durable rate', 'live: entries that the writer made durable']],
        missedBy: 'the processor of the server that stores',
      },
      {
        ...{ what: 'CPU of a server that only stores', own: 'live: CPU of the server that stores' },
        beside: [['a signature checked alone', 'live: of which a signature checked alone takes']],
        missedBy: 'frames, turns, receipts and signatures, half of it in small parts',
      },
      {
        ...{ what: 'catch-up, entry bytes', own: 'catch-up: entry bytes', judged: 'catch-up: of the bare stream' },
        beside: [
          ['bare libp2p stream', 'catch-up: bare libp2p stream'],
          ['a durable file', 'catch-up: a file appended to, 4 MiB at a time, each durable'],
        ],
        missedBy: 'the processor of the server that is filled',
      },
    ],
  },
  {
    ...{ bench: 'simulator', what: 'simulator, 500 Yjs nodes, 348,560 sends' },
    page: 'test/bench/README.md#simulator-events-in-a-second-of-its-thread',
    rows: [{ what: 'node events', own: '500 Yjs nodes, 80 writes flooded', beside: [] }],
  },
]
