/**
 * Running other programs from tests: bounded runs with captured output, bounded waits with a message that says what was
 * waited for, and the skip decision of tests that need root or a program. Ends only processes that it started, by pid.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface RunResult {
  /** Exit status; undefined when a signal ended it. */
  code: number | undefined
  signal: NodeJS.Signals | undefined
  stdout: string
  stderr: string
}

export interface RunOptions {
  timeoutMs?: number
  input?: string | Buffer
  cwd?: string
  env?: NodeJS.ProcessEnv
}

/** A machine that is busy with other things starts a container in seconds. */
const RUN_TIMEOUT_MS = 180_000
/** Enough for any tool the tests run; a runaway program does not fill the test's memory. */
const OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024
/** Debian keeps dockerd, runc and ip in sbin, which a login's PATH may lack. */
const SEARCH_DIRS = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']

/** Absolute path of a program, or undefined. */
export function findCommand(name: string): string | undefined {
  if (name.startsWith('/')) return existsSync(name) ? name : undefined
  for (const dir of SEARCH_DIRS) {
    const path = join(dir === '' ? '.' : dir, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {}
  }
  return undefined
}

export interface Requirements {
  root?: boolean
  commands?: readonly string[]
  files?: readonly string[]
}

/** For node:test's `skip`: false when all is there, else the reason, which is printed too. */
export function requires(needs: Requirements): string | false {
  const missing: string[] = []
  if (needs.root === true && process.getuid?.() !== 0) missing.push('root')
  for (const name of needs.commands ?? []) if (findCommand(name) === undefined) missing.push(`the command ${name}`)
  for (const path of needs.files ?? []) if (!existsSync(path)) missing.push(path)
  if (missing.length === 0) return false
  const reason = `needs ${missing.join(', ')}`
  console.log(`# SKIP: ${reason}`)
  return reason
}

/** Runs to the end; never rejects for the program's own failure. Rejects when it cannot start or overruns its time. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const path = findCommand(command)
  if (path === undefined) return Promise.reject(new Error(`${command}: command not found`))
  const timeoutMs = options.timeoutMs ?? RUN_TIMEOUT_MS
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, { cwd: options.cwd, env: options.env ?? process.env, stdio: 'pipe' })
    const out: Buffer[] = []
    const err: Buffer[] = []
    let sizeBytes = 0
    let failure: Error | undefined
    const fail = (message: string) => {
      failure ??= new Error(`${command} ${args.join(' ')}: ${message}\n${Buffer.concat(err).toString().slice(-2000)}`)
      child.kill('SIGKILL')
    }
    const timer = setTimeout(() => fail(`still running after ${timeoutMs} ms`), timeoutMs)
    const collect = (into: Buffer[]) => (chunk: Buffer) => {
      sizeBytes += chunk.length
      if (sizeBytes > OUTPUT_LIMIT_BYTES) fail('too much output')
      else into.push(chunk)
    }
    child.stdout.on('data', collect(out))
    child.stderr.on('data', collect(err))
    child.stdin.on('error', () => {}) // it may end before it has read all of its input
    child.stdin.end(options.input ?? '')
    child.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      if (failure !== undefined) reject(failure)
      else
        resolve({
          code: code ?? undefined,
          signal: signal ?? undefined,
          stdout: Buffer.concat(out).toString(),
          stderr: Buffer.concat(err).toString(),
        })
    })
  })
}

/** As run(), but a failure of the program rejects with its output; returns stdout without the last newline. */
export async function runOk(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await run(command, args, options)
  if (result.code !== 0) {
    const how = result.code === undefined ? `ended by ${result.signal}` : `exit status ${result.code}`
    throw new Error(`${command} ${args.join(' ')}: ${how}\n${result.stderr}${result.stdout}`)
  }
  return result.stdout.replace(/\n$/, '')
}

/** Much longer than what is waited for takes, also on a machine that others use too: only a failure lasts so long. */
const WAIT_MAX_MS = 120_000

/** Polls until the probe gives a value other than undefined and false; rejects with `what` when the time is over. */
export async function waitFor<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = WAIT_MAX_MS,
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  let pauseMs = 5
  for (;;) {
    const value = await probe()
    if (value !== undefined && value !== false) return value
    if (Date.now() >= deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`)
    await sleep(pauseMs)
    pauseMs = Math.min(pauseMs * 2, 200)
  }
}

let nextNumber = 0

/** A name that no other test run on this machine uses at the same time. */
export function uniqueName(stem: string): string {
  nextNumber += 1
  return `${stem}-${process.pid}-${nextNumber}`
}

export function makeTempDir(stem = 'hullguard-test'): string {
  return mkdtempSync(join(tmpdir(), `${stem}-`))
}

export function removeDir(dir: string): void {
  rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.charAt(stat.lastIndexOf(')') + 2) !== 'Z'
  } catch {
    return false
  }
}

/** SIGTERM, then SIGKILL when it has not ended in time. */
export async function endProcess(pid: number, graceMs = 15_000): Promise<void> {
  if (!signalQuietly(pid, 'SIGTERM')) return
  try {
    await waitFor(`process ${pid} to end`, () => !isAlive(pid), graceMs)
  } catch {
    signalQuietly(pid, 'SIGKILL')
    await waitFor(`process ${pid} to end after SIGKILL`, () => !isAlive(pid), 5_000)
  }
}

function signalQuietly(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}

/** Ends a child when the test process itself ends without having done so (a crashed or timed-out test). */
export function endWithUs(child: ChildProcess): () => void {
  const end = () => {
    child.kill('SIGTERM')
  }
  process.once('exit', end)
  return () => process.removeListener('exit', end)
}

/** Pids whose command line contains `text`: give a directory that only this test uses. */
export function pidsWithCommandLine(text: string): number[] {
  if (text.length < 8) throw new Error(`expected a directory of this test, received \`${text}\``)
  const pids: number[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    try {
      if (readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(text)) pids.push(Number(name))
    } catch {} // ended meanwhile
  }
  return pids
}
