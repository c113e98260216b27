/**
 * Ports of loopback for servers that a test starts later, or twice. They lie below those that the kernel gives to whoever wants any
 * (from 32,768 on, unless told otherwise), so that no connection of another program takes one before it is used.
 */
import { createServer } from 'node:net'

const [FIRST, COUNT] = [20_000, 12_000]
/** Test files run beside each other: each process begins at another place. */
const STEP = 16

let offset = (process.pid * STEP) % COUNT

/** One that nobody listens on just now, and that was not given before. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < COUNT; attempt += 1) {
    const port = FIRST + offset
    offset = (offset + 1) % COUNT
    if (await canListen(port)) return port
  }
  throw new Error(`no port from ${FIRST} on is free`)
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.on('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
