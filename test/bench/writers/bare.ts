import { approachOf, type Connection, numberIn, opened, type Place, textOf, Unacknowledged } from './connection.ts'

/* The server that only passes messages on: it acknowledges nothing. A write is done when it has left, or, of writers that share a document, when somebody was told. */

const padding = ' And as much again as an update has around it.'

export async function connectBare({ port, index, document, isShared }: Place): Promise<Connection> {
  const path = `/d-${document}`
  const { socket, closed } = await opened(port, index, path)
  const waiting = new Unacknowledged()
  const follow = async (told: (number: number) => void) => {
    await opened(port, index, path, frame => {
      const number = numberIn(frame)
      if (number !== undefined) told(number)
    })
  }
  if (isShared) await follow(number => waiting.takeUpTo(number))
  return {
    closed,
    async write(...numbers) {
      const acknowledged = isShared ? numbers.map(number => waiting.add(number)) : []
      for (const number of numbers) socket.send(Buffer.from(textOf(number) + padding))
      await Promise.all(acknowledged)
    },
    observe: follow,
    approach: async () => approachOf(path, []),
    follow: async () => {},
    read: async () => 0,
  }
}
