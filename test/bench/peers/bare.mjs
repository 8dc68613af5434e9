// A websocket server that does nothing but pass each message on to everybody else: the least that fan-out can take.
import { WebSocketServer } from 'ws'

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.env.PORT), perMessageDeflate: false })
server.on('listening', () => console.log(`listening on ${server.address().port}`))
server.on('connection', socket => {
  socket.on('message', (data, isBinary) => {
    for (const other of server.clients) if (other !== socket) other.send(data, { binary: isBinary })
  })
})
