/** Asks the agent of this host through its control socket. */
import { request } from 'node:http'
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
      const isAbsent = errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ECONNREFUSED'
      const reason = isAbsent ? 'no agent is running on this data directory' : messageOf(error)
      reject(
        new HullguardError('agent_unreachable', `cannot reach the agent at ${socketPath}: ${reason}`, { cause: error }),
      )
    })
    call.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
