/** Starts and ends the collector child of the tests and the bench. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface CollectorChild {
  process: ChildProcess
  address: string
  /** What it printed, its address included. */
  output(): string
}

export async function spawnCollector(dataDir: string, listen: string): Promise<CollectorChild> {
  const main = fileURLToPath(new URL('delivery-collector.js', import.meta.url))
  const child = spawn(process.execPath, [main, dataDir, listen], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const exited = once(child, 'exit').then(() => {
    throw new Error(`the collector ended early: ${output}`)
  })
  await Promise.race([once(child.stdout, 'data'), exited])
  // From here on its end is the caller's business.
  exited.catch(() => {})
  return { process: child, address: output.split('\n')[0] ?? '', output: () => output }
}

export async function endCollector({ process: child }: CollectorChild, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'close')
  child.kill(signal)
  await gone
}
