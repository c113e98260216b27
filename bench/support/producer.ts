/** Compiles producer.c, and talks to one that serves: a line to it, a line back. */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { closeSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { runOk } from '../../test/support/process.js'

/** A loop of a few seconds on a loaded machine. */
const ANSWER_MS = 300_000
const END_MS = 5_000

const PROGRAMS = {
  true: 'int main(void) { return 0; }\n',
  /** Ends well after 5 s when nobody kills it. */
  pause: '#include <unistd.h>\nint main(void) { sleep(5); return 0; }\n',
} as const

export type Program = 'producer' | keyof typeof PROGRAMS

/** Compiles `producer`, and programs that it executes, into `dir`: static, so that they run in any container. */
export async function compilePrograms(dir: string): Promise<Record<Program, string>> {
  const compile = async (name: string, source: string) => {
    const output = join(dir, name)
    await runOk('gcc', ['-O2', '-Wall', '-static', '-o', output, source])
    return output
  }
  const own = async (name: keyof typeof PROGRAMS) => {
    const source = join(dir, `${name}.c`)
    writeFileSync(source, PROGRAMS[name])
    return compile(name, source)
  }
  return {
    producer: await compile('producer', join(findPackageRoot(), 'bench', 'support', 'producer.c')),
    true: await own('true'),
    pause: await own('pause'),
  }
}

export class Producer {
  readonly #child: ChildProcess
  readonly #answers: ((line: string) => void)[] = []
  #isEnded = false
  readonly #ended: Promise<void>

  /** child: `producer serve` with pipes. */
  constructor(child: ChildProcess) {
    this.#child = child
    if (child.stdout === null) throw new Error('the producer has no standard output')
    createInterface({ input: child.stdout }).on('line', (line) => this.#answers.shift()?.(line))
    child.stderr?.resume()
    this.#ended = new Promise((resolve) => {
      child.once('close', () => {
        this.#isEnded = true
        for (const answer of this.#answers.splice(0)) answer('error the producer ended')
        resolve()
      })
    })
  }

  static onHost(path: string): Producer {
    return new Producer(spawn(path, ['serve'], { stdio: ['pipe', 'pipe', 'pipe'], detached: true }))
  }

  /** The numbers of its answer. */
  async do(command: string): Promise<number[]> {
    if (this.#isEnded) throw new Error('the producer has ended')
    let timer: NodeJS.Timeout | undefined
    const line = await new Promise<string>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer to \`${command}\``)), ANSWER_MS)
      this.#answers.push(resolve)
      this.#child.stdin?.write(`${command}\n`)
    })
    clearTimeout(timer)
    if (line.startsWith('error')) throw new Error(`${command}: ${line}`)
    return line.trim().split(' ').map(Number)
  }

  async end(): Promise<void> {
    this.#child.stdin?.end()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_MS)
    await this.#ended
    clearTimeout(timer)
  }
}

const ANSWER_MAX_BYTES = 4096

/**
 * A producer that is waited for by standing still: nothing else runs on this thread from a line to its answer. And it is there
 * before: to start a process makes this one copy pages afterwards, which would count as its own CPU time.
 */
export class BlockingProducer {
  readonly #child: ChildProcess
  readonly #lines: number
  readonly #answers: number

  private constructor(child: ChildProcess, lines: number, answers: number) {
    this.#child = child
    this.#lines = lines
    this.#answers = answers
  }

  /** `start`: `producer serve` with these as its standard input and output. */
  static async start(dir: string, start: (input: number, output: number) => ChildProcess): Promise<BlockingProducer> {
    const [linesPath, answersPath] = [join(dir, 'lines'), join(dir, 'answers')]
    await runOk('mkfifo', [linesPath, answersPath])
    // Open both ways at first: a fifo that is opened one way waits for the other.
    const both = [openSync(linesPath, 'r+'), openSync(answersPath, 'r+')]
    const [input, output] = [openSync(linesPath, 'r'), openSync(answersPath, 'w')]
    const [lines, answers] = [openSync(linesPath, 'w'), openSync(answersPath, 'r')]
    const child = start(input, output)
    // From now on each holds its own ends alone, and learns when the other is gone.
    for (const fd of [...both, input, output]) closeSync(fd)
    return new BlockingProducer(child, lines, answers)
  }

  /** Its answer. */
  do(command: string): string {
    writeSync(this.#lines, `${command}\n`)
    const bytes = Buffer.alloc(ANSWER_MAX_BYTES)
    let sizeBytes = 0
    while (!bytes.subarray(0, sizeBytes).includes(0x0a)) {
      const readBytes = readSync(this.#answers, bytes, sizeBytes, ANSWER_MAX_BYTES - sizeBytes, null)
      if (readBytes === 0) throw new Error(`no answer to \`${command}\``)
      sizeBytes += readBytes
    }
    const line = bytes.toString('utf8', 0, sizeBytes).trim()
    if (line.startsWith('error')) throw new Error(`${command}: ${line}`)
    return line
  }

  async end(): Promise<void> {
    const isEnded = this.#child.exitCode !== null || this.#child.signalCode !== null
    const ended = isEnded ? undefined : new Promise((resolve) => this.#child.once('close', resolve))
    for (const fd of [this.#lines, this.#answers]) closeSync(fd)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_MS)
    await ended
    clearTimeout(timer)
  }
}
