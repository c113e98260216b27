/**
 * The acts that the bpf tests observe: a small static C program (acts/act.c), compiled once per test file, that does the
 * steps it is given. Runs only in cgroups that the test made; ends only the processes that it started.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { runOk } from './process.js'

/** Longer than any step takes on a loaded machine. */
const ACT_TIMEOUT_MS = 180_000

/** Why a test is skipped whose probe of a 32-bit call fails. */
export const NO_IA32 = 'neither this kernel nor the machine below it serves 32-bit calls'

export interface ActResult {
  pid: number
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export async function compileAct(dir: string): Promise<string> {
  const program = join(dir, 'act')
  const source = join(findPackageRoot(), 'test/support/acts/act.c')
  await runOk('gcc', ['-static', '-O1', '-Wall', '-Wextra', '-Werror', '-pthread', '-o', program, source])
  return program
}

/** The same for sockets: acts/talk.c. */
export async function compileTalk(dir: string): Promise<string> {
  const program = join(dir, 'talk')
  const source = join(findPackageRoot(), 'test/support/acts/talk.c')
  await runOk('gcc', ['-static', '-O1', '-Wall', '-Wextra', '-Werror', '-o', program, source])
  return program
}

/** Any byte but those that stand for themselves, as act.c reads it back. */
export function actWord(bytes: string | Uint8Array): string {
  return [...Buffer.from(bytes)]
    .map((byte) => {
      const char = String.fromCharCode(byte)
      return /[\w./:-]/.test(char) ? char : `%${byte.toString(16).padStart(2, '0')}`
    })
    .join('')
}

/** One act under way. */
export class Act {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #ended: Promise<ActResult>
  #stdout = ''
  #stderr = ''

  constructor(program: string, steps: readonly string[]) {
    const child = spawn(program, steps, { stdio: 'pipe', env: { PATH: '/bin:/usr/bin' } })
    if (child.pid === undefined) throw new Error(`${program} did not start`)
    this.#child = child
    this.pid = child.pid
    child.stdout.on('data', (chunk: Buffer) => {
      this.#stdout += chunk.toString('latin1')
    })
    child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString('latin1')
    })
    child.stdin.on('error', () => {}) // it may end before it reads
    const timer = setTimeout(() => child.kill('SIGKILL'), ACT_TIMEOUT_MS)
    this.#ended = new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => {
        clearTimeout(timer)
        resolve({ pid: this.pid, code, signal, stdout: this.#stdout, stderr: this.#stderr })
      })
    })
  }

  /** What it has printed so far. */
  get stdout(): string {
    return this.#stdout
  }

  /** Until it stands at its next `pause`. */
  async paused(): Promise<void> {
    while (!this.#stdout.includes('paused\n')) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null)
        throw new Error(`the act ended before it paused: ${this.#stderr}`)
      await Promise.race([once(this.#child.stdout ?? this.#child, 'data'), once(this.#child, 'close')])
    }
    this.#stdout = this.#stdout.replace('paused\n', '')
  }

  resume(): void {
    this.#child.stdin?.write('\n')
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  ended(): Promise<ActResult> {
    return this.#ended
  }
}

/** Runs the steps to the end. A step that could not be done rejects. */
export async function act(program: string, ...steps: (string | number)[]): Promise<ActResult> {
  const result = await new Act(program, steps.map(String)).ended()
  if (result.code === 99) throw new Error(`${steps.join(' ')}: ${result.stderr}`)
  return result
}
