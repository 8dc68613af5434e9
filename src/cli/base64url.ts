/** base64url without padding, as keys and fingerprints are written everywhere. */
export const base64url = {
  encode: (raw: Uint8Array): string => Buffer.from(raw).toString('base64url'),
  decode: (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url')),
}
