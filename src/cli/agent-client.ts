/** Asks the agent of this host through its control socket. */
import { type IncomingMessage, request } from 'node:http'
import { controlSocketPath } from '../agent/control-server.js'
import { errnoOf, HullguardError, messageOf } from '../telemetry/errors.js'

const ANSWER_WITHIN_MS = 5000

/** The body of the answer. Throws HullguardError agent_unreachable, or internal with what the agent said. */
export function askAgent(dataDir: string, method: 'GET' | 'POST', path: string, body?: object): Promise<string> {
  const socketPath = controlSocketPath(dataDir)
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, timeout: ANSWER_WITHIN_MS }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => {
        if (response.statusCode === 200) resolve(text)
        else reject(new HullguardError('internal', `the agent answered ${response.statusCode}: ${text.trim()}`))
      })
    })
    call.on('timeout', () => call.destroy(new Error('no answer within 5 s')))
    call.on('error', (error) => {
      reject(unreachable(socketPath, error))
    })
    call.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

function unreachable(socketPath: string, error: unknown): HullguardError {
  const reason = isAbsent(error) ? 'no agent is running on this data directory' : messageOf(error)
  return new HullguardError('agent_unreachable', `cannot reach the agent at ${socketPath}: ${reason}`, { cause: error })
}

/** Nobody listens there: no agent runs on that data directory. */
export function isAbsent(error: unknown): boolean {
  return errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ECONNREFUSED'
}

/**
 * Writes the capture that the agent of this host records until `stop` resolves (then the agent is asked to end it) or the
 * agent ends. `begun`: from now on what happens is recorded. Throws HullguardError agent_unreachable when none runs, recording_busy, or what `take` throws.
 */
export async function recordThroughAgent(
  dataDir: string,
  containers: readonly string[],
  stop: Promise<unknown>,
  { begun, take }: { begun: () => void; take: (bytes: Uint8Array) => Promise<void> },
): Promise<{ endedBy: 'us' | 'agent' }> {
  const response = await openRecording(dataDir, containers)
  begun()
  let endedBy: 'us' | 'agent' = 'agent'
  void stop.then(async () => {
    endedBy = 'us'
    // An agent that ended meanwhile has ended the answer too.
    await askAgent(dataDir, 'POST', '/v1/record/stop', {}).catch(() => response.destroy())
  })
  try {
    for await (const chunk of response) await take(chunk as Uint8Array)
  } finally {
    response.destroy()
  }
  return { endedBy }
}

function openRecording(dataDir: string, containers: readonly string[]): Promise<IncomingMessage> {
  const socketPath = controlSocketPath(dataDir)
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method: 'POST', path: '/v1/record' }, (response) => {
      if (response.statusCode === 200) {
        resolve(response)
        return
      }
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => {
        const isBusy = text.includes('recording_busy')
        const message = isBusy
          ? 'the agent of this host is writing another capture'
          : `the agent answered ${response.statusCode}: ${text.trim()}`
        reject(new HullguardError(isBusy ? 'recording_busy' : 'internal', message))
      })
    })
    call.on('error', (error) => reject(unreachable(socketPath, error)))
    call.end(JSON.stringify({ containers }))
  })
}
