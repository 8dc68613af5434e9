import { text } from 'node:stream/consumers'

/** What the program was told on its input. */
export const told = async <T>(): Promise<T> => JSON.parse(await text(process.stdin)) as T

/** Says something, as a line that the one who started the program can read. */
export const say = (event: string, fields: object = {}): void =>
  console.log(JSON.stringify({ time: new Date().toISOString(), level: 'info', event, fields }))

export const bytesOf = (base64url: string): Uint8Array => new Uint8Array(Buffer.from(base64url, 'base64url'))
