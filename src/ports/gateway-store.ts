/** What a gateway keeps over its own end, each a text that is written whole. */
export type GatewayStoreKey =
  /** The inventories of its Personal Networks as its server last gave them. */
  | 'inventories'
  /** Commands that wait for its server. */
  | 'queue'
  /** The PNEs that have paired with it. */
  | 'pairings'

/**
 * Where one PN gateway keeps what it must know again when it comes back: from a crash in between it must neither lose what
 * it has promised nor do it twice. One gateway, one store.
 */
export interface GatewayStore {
  /** What was last written; `undefined` if nothing was. @throws when there is something that cannot be read. */
  read(key: GatewayStoreKey): Promise<string | undefined>
  /**
   * Replaces a text, at once: a crash leaves the old one or the new one, never a part. Resolves when the new one would
   * survive a power cut. Rejects when that is not known. For one key it is called again only when the last call has settled.
   */
  write(key: GatewayStoreKey, text: string): Promise<void>
}
