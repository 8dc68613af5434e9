import { type Connection, numberIn, opened, textOf } from './connection.ts'

/* The server that only passes messages on: it acknowledges nothing, and a write is done when it has left. */

const padding = ' And as much again as an update has around it.'

export async function connectBare(port: number, index: number): Promise<Connection> {
  const path = `/d-${index}`
  const { socket, closed } = await opened(port, index, path)
  return {
    closed,
    write: async number => socket.send(Buffer.from(textOf(number) + padding)),
    async observe(told) {
      await opened(port, index, path, frame => {
        const number = numberIn(frame)
        if (number !== undefined) told(number)
      })
    },
    follow: async () => {},
    read: async () => 0,
  }
}
