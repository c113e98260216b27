// What every stage of setup uses: words to the user, running a command, content hashes, stamps. All of it is synchronous:
// setup has nothing to do while it waits.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../', import.meta.url))
export const at = (...parts) => join(root, ...parts)

/** Lines of a failing command that are shown: one screen. The first ones too: npm ends with its usage, tsc with its last error. */
const FIRST_LINES_COUNT = 12
const LAST_LINES_COUNT = 28
const OUTPUT_MAX_BYTES = 64 * 1024 * 1024

/** To standard error, so that what a command prints after setup stays clean on standard output. */
export function say(text) {
  process.stderr.write(`setup: ${text}\n`)
}

/** A step that failed, told in full: what ran, what it said last, what to do. */
export class SetupError extends Error {}

/** Runs a command with no stdin and returns its standard output. Throws SetupError with the last lines and `advice`. */
export function run(command, args, { advice, env = {}, cwd = root } = {}) {
  const done = spawnSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: OUTPUT_MAX_BYTES,
  })
  if (done.status === 0) return done.stdout
  const how = done.error ? done.error.message : done.signal ? `ended by ${done.signal}` : `exit code ${done.status}`
  const lines = `${done.stdout ?? ''}${done.stderr ?? ''}`.trimEnd().split('\n')
  const hiddenCount = lines.length - FIRST_LINES_COUNT - LAST_LINES_COUNT
  if (hiddenCount > 0) lines.splice(FIRST_LINES_COUNT, hiddenCount, `… ${hiddenCount} lines …`)
  throw new SetupError(
    [
      `\`${[command, ...args].join(' ')}\` failed (${how})`,
      ...lines.map((line) => `  | ${line}`),
      ...(advice ? [`what to do: ${advice}`] : []),
    ].join('\n'),
  )
}

/** Every file below the given files and folders, sorted; what does not exist has none. */
export function filesUnder(paths, accept = () => true) {
  const found = []
  const visit = (path) => {
    const info = statSync(at(path), { throwIfNoEntry: false })
    if (info === undefined) return
    if (!info.isDirectory()) {
      if (accept(path)) found.push(path)
      return
    }
    for (const name of readdirSync(at(path))) visit(join(path, name))
  }
  for (const path of paths) visit(path)
  return found.sort()
}

/** Names and contents of the files, and `extra`: equal exactly when nothing that matters has changed. */
export function hashOf(files, extra = '') {
  const hash = createHash('sha256').update(extra)
  for (const file of files) hash.update(`\0${file}\0`).update(readFileSync(at(file)))
  return hash.digest('hex')
}

export function readStamp(file) {
  try {
    return readFileSync(at(file), 'utf8').trim()
  } catch {
    return ''
  }
}

export function writeStamp(file, key) {
  mkdirSync(join(at(file), '..'), { recursive: true })
  writeFileSync(at(file), `${key}\n`)
}
