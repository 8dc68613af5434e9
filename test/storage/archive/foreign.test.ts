/*
 * Proves: what other programs write is imported as well as it can be: text, attachments, senders, flags and threads of mbox
 * files and zips of theirs; what is malformed, cut, changed or too large is a typed problem of that message and of no other;
 * and no bytes whatever make the reading throw or last. Fails if an import breaks off at the first odd message, if an altered
 * object passes for the one that was exported, or if a limit is passed.
 */
import * as fc from 'fast-check'
import { zipSync } from 'fflate'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { zipFormat } from '../../../src/adapters/zip-format.ts'
import { ArchiveDamaged, type ArchiveFormat, type ArchiveLimits } from '../../../src/storage/archive/archived.ts'
import { exportMailbox } from '../../../src/storage/archive/export-mailbox.ts'
import { importArchive } from '../../../src/storage/archive/import-archive.ts'
import { anySample } from './any-object.ts'

const limits: ArchiveLimits = { maxMessageBytes: 1e7, maxBytes: 1e8, maxMessages: 1e5 }

async function* inPieces(bytes: Uint8Array, pieceBytes = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

/** Everything in an archive, its bytes as text. */
async function read(archive: Uint8Array | string, format: ArchiveFormat = 'mbox', within = limits) {
  const messages: Record<string, unknown>[] = []
  const problems: string[] = []
  for await (const found of importArchive(inPieces(Buffer.from(archive)), { format, zip: zipFormat, limits: within })) {
    if (found.kind === 'problem') {
      problems.push(`${found.problem.where}: ${found.problem.cause}`)
      continue
    }
    try {
      if (found.kind === 'object') {
        for await (const { bytes } of found.archived.media) await Array.fromAsync(bytes ?? [])
        messages.push({ ...found.archived.object })
        continue
      }
      const content: unknown[] = []
      for await (const one of found.message.content) {
        if (one.kind === 'text') content.push(one.text)
        else content.push([one.type, one.name, Buffer.concat(await Array.fromAsync(one.bytes)).toString('utf8')])
      }
      messages.push({ ...found.message.head, folder: found.message.folder, content })
    } catch (error) {
      if (!(error instanceof ArchiveDamaged)) throw error
      problems.push(`${error.problem.where}: ${error.problem.cause}`)
    }
  }
  return { messages, problems }
}

const thunderbird = `From - Thu Nov 26 16:30:00 2026
X-Mozilla-Status: 0005
From: =?iso-8859-1?Q?Andr=E9?= <Andre@B.Example>
To: "Alice, A." <alice@a.example>, undisclosed-recipients:;
Cc: <tel:+49 30 123456>
Subject: =?utf-8?B?w5xiZXI=?= =?utf-8?Q?_uns?=
Date: Thu, 26 Nov 2026 17:30:00 +0100
Message-ID: <2@b.example>
References: <1@b.example> <0@b.example>
Content-Type: multipart/mixed;
 boundary=outer

preamble
--outer
Content-Type: multipart/alternative; boundary="inner one"

--inner one
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=
=DFe
>From me
--inner one
Content-Type: text/html

<p>hello</p>
--inner one--
--outer
Content-Type: application/pdf; name="=?utf-8?Q?a=C3=A4.pdf?="
Content-Disposition: attachment; filename*0*=utf-8''a%C3%A4; filename*1=".pdf"
Content-Transfer-Encoding: base64

aGVs
bG8=
--outer
Content-Type: message/rfc822

Subject: within

inner
--outer--

From nobody Thu Nov 26 16:31:00 2026
Subject: no sender
Status: RO

plain

From the beginning it was text.

From mallory@c.example Thu Nov 26 16:32:00 2026
X-Gmail-Labels: Inbox,Starred

`

test('a file of another mail program', async () => {
  const { messages, problems } = await read(thunderbird)
  assert.equal(problems, [])
  const [first, second, third] = messages
  assert.is(messages.length, 3)
  assert.equal(first, {
    type: 'message',
    direction: 'in',
    date: Date.UTC(2026, 10, 26, 16, 30),
    from: 'Andre@b.example',
    to: ['alice@a.example', 'tel:+4930123456'],
    conversationId: '1@b.example',
    contentType: 'multipart/mixed',
    flags: ['\\Seen', '\\Flagged'],
    subject: 'Über uns',
    imdnMessageId: '2@b.example',
    folder: '',
    content: [
      'Grüße\nFrom me',
      ['text/html', undefined, '<p>hello</p>'],
      ['application/pdf', 'aä.pdf', 'hello'],
      ['message/rfc822', undefined, 'Subject: within\n\ninner'],
    ],
  })
  assert.equal(
    [second?.from, second?.flags, second?.content],
    ['unknown@invalid', ['\\Seen'], ['plain\n\nFrom the beginning it was text.\n']],
  )
  assert.equal([third?.flags, third?.content], [['\\Seen', '\\Flagged'], ['']])
})

test('a zip of another mail program: directories are folders, what is no message is said', async () => {
  const eml = Buffer.from('From: a@a.example\r\nSubject: hi\r\n\r\nhello\r\n')
  const archive = zipSync({ Inbox: { Old: { '1.eml': eml } }, 'notes.txt': eml, __MACOSX: { '._1.eml': eml } })
  const { messages, problems } = await read(archive, 'zip')
  assert.equal(
    messages.map(({ folder, subject, content }) => [folder, subject, content]),
    [['Inbox/Old', 'hi', ['hello\n']]],
  )
  assert.equal(problems, ['notes.txt: unsupported'])
})

test('text that an object cannot hold is media, in UTF-8', async () => {
  const head = 'From a Thu Nov 26 16:30:00 2026\nContent-Type: text/plain; charset=windows-1252\n\n'
  const { messages } = await read(Buffer.concat([Buffer.from(head), Buffer.alloc(5_000, 0xe4), Buffer.from('\n\n')]))
  assert.equal(messages[0]?.content, [['text/plain', 'message.txt', `${'ä'.repeat(5_000)}\n`]])
})

test('a line without end and a head without end take no memory', async () => {
  const endless = `From a Thu Nov 26 16:30:00 2026\n\n${'x'.repeat(3_000_000)}`
  const { messages } = await read(endless)
  assert.is(
    JSON.stringify(messages[0]?.content),
    JSON.stringify([['text/plain', 'message.txt', 'x'.repeat(3_000_000)]]),
  )
  const { problems } = await read(`From a Thu Nov 26 16:30:00 2026\n${'X-A: b\n'.repeat(60_000)}\n`)
  assert.equal(problems, ['message 1: too-large'])
  const nested = Array.from({ length: 40 }, (_, at) => `Content-Type: multipart/mixed; boundary=b${at}\n\n--b${at}\n`)
  assert.equal((await read(`From a Thu Nov 26 16:30:00 2026\n${nested.join('')}`)).problems, ['message 1: too-large'])
})

test('limits hold for each message and for all', async () => {
  const small = 'From a Thu Nov 26 16:30:00 2026\nSubject: small\n\nhello\n\n'
  const large = `From a Thu Nov 26 16:30:00 2026\nSubject: large\n\n${'hello\n'.repeat(1_000)}\n`
  const each = await read(small + large + small, 'mbox', { ...limits, maxMessageBytes: 2_000 })
  assert.equal([each.messages.length, each.problems], [2, ['message 2: too-large']])
  const all = await read(small + large + small, 'mbox', { ...limits, maxBytes: 2_000 })
  assert.equal(all.problems.at(-1), 'archive: too-large')
  assert.equal((await read(small + small, 'mbox', { ...limits, maxMessages: 1 })).problems, ['archive: too-large'])
})

test('what is no archive is said not to be', async () => {
  for (const format of ['mbox', 'zip'] as const) {
    assert.equal((await read('hello\n', format)).problems, ['archive: not-an-archive'])
  }
  assert.equal(await read(''), { messages: [], problems: [] })
})

const [sample] = fc.sample(
  anySample.filter(
    ({ object, media }) => object.type === 'message' && media.length === 2 && (media[1]?.length ?? 0) > 50,
  ),
  { numRuns: 1, seed: 11 },
)
async function exported(format: ArchiveFormat): Promise<Buffer> {
  async function* source() {
    if (!sample) return
    for (const id of ['a', 'b'].map(letter => letter.repeat(22))) {
      yield { object: { ...sample.object, id }, media: media() }
    }
  }
  async function* media() {
    for (const [at, one] of (sample?.object.media ?? []).entries()) {
      yield { media: one, bytes: inPieces(sample?.media[at] ?? new Uint8Array()) }
    }
  }
  return Buffer.concat(await Array.fromAsync(exportMailbox(source(), { format, zip: zipFormat })))
}

test('an object of ours that was changed is a problem, and the next one is not', async () => {
  const archive = (await exported('mbox')).toString('latin1')
  const second = archive.indexOf('From ', 10)
  const change = async (from: RegExp, to: string) => read(Buffer.from(archive.replace(from, to), 'latin1'))
  for (const [from, to, cause] of [
    [/X-CPNS-Object: 1/, 'X-CPNS-Object: 9', 'malformed'],
    [/ type=message/, ' type=massage', 'malformed'],
    [/ size=\d+/, ' size=3', 'altered'],
    [/X-CPNS-Part: media/, 'X-CPNS-Part: gone', 'altered'],
    [/"media":/, '"madia":', 'malformed'],
    [/--=_cpns_a+--/, '', 'truncated'],
  ] as const) {
    const { messages, problems } = await change(from, to)
    assert.equal([messages.length, problems], [1, [`message 1: ${cause}`]], String(from))
  }
  const cut = await read(archive.slice(0, second - 200))
  assert.equal([cut.messages.length, cut.problems], [0, ['message 1: truncated']])
})

for (const format of ['mbox', 'zip'] as const) {
  test(`${format}: whatever is done to an archive, reading it ends and does not throw`, async () => {
    const archive = await exported(format)
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: archive.length }),
        fc.array(fc.tuple(fc.nat({ max: archive.length - 1 }), fc.uint8Array({ minLength: 1, maxLength: 8 })), {
          maxLength: 6,
        }),
        async (cut, changes) => {
          const bytes = Buffer.from(archive)
          for (const [at, value] of changes) bytes.set(value.slice(0, bytes.length - at), at)
          await read(bytes.subarray(0, cut), format)
        },
      ),
      { numRuns: 100 },
    )
  })
}

test('whatever anybody calls an mbox, reading it ends and does not throw', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.constantFrom(
          'From a Thu Nov 26 16:30:00 2026\n',
          'Content-Type: multipart/mixed; boundary=x\n',
          'Content-Type: text/plain; charset=nonsense; name*0*=x%zz\n',
          'Content-Transfer-Encoding: base64\n',
          'Content-Transfer-Encoding: quoted-printable\n',
          'X-CPNS-Object: 1; id=x\n',
          'To: <<<>>>, a@b, (((\n',
          'Date: never\n',
          '\n',
          '\r\n',
          '--x\n',
          '--x--\n',
          '=\r',
          '=4',
          'aGVsbG8=\n',
          '\u0000\u0001\n',
        ),
        { maxLength: 40 },
      ),
      async lines => void (await read(lines.join(''))),
    ),
    { numRuns: 300 },
  ))

test.run()
