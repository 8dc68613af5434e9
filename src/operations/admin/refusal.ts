/** A request to the admin API that is not done; the message says why and what to do, and goes to whoever asked. */
export class AdminRefusal extends Error {
  override readonly name = 'AdminRefusal'
  /** Of HTTP, 400 to 599. */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}
