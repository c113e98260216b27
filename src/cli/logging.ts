/** The process's own log: JSON lines on standard error, short text when a person is looking. Never carries event contents. */
import { pino } from 'pino'
import type { Log } from '../export/types.js'

export function makeLog(level: string): Log {
  if (!process.stderr.isTTY) return pino({ level, base: { pid: process.pid } }, pino.destination({ fd: 2, sync: true }))
  const floor = LEVELS.indexOf(level)
  const line = (at: (typeof LEVELS)[number]) => (fields: object, message: string) => {
    if (level === 'silent' || LEVELS.indexOf(at) < floor) return
    const rest = Object.entries(fields).map(
      ([key, value]) => `${key}=${value instanceof Error ? value.message : String(value)}`,
    )
    process.stderr.write(`hullguard ${at}: ${[message, ...rest].join(' ')}\n`)
  }
  return { info: line('info'), warn: line('warn'), error: line('error') }
}

const LEVELS: readonly string[] = ['debug', 'info', 'warn', 'error']
