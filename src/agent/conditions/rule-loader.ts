/**
 * Loads policies and Falco files in a worker thread: within their bounds files exist that take seconds to read and check, and the
 * event loop has a ring to empty meanwhile. What was loaded comes back in pieces, one a turn of the loop.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { Expression } from '../../policy/condition/ast.js'
import type { FalcoRule } from '../../policy/falco/model.js'
import type { Policy, Rule } from '../../policy/model.js'
import { HullguardError, messageOf } from '../../telemetry/errors.js'
import type { FalcoRules } from './rulebook.js'

export interface LoadedNative {
  readonly policies: readonly Policy[]
  readonly errorCount: number
  /** Warnings and errors, rendered for a person. */
  readonly diagnostics: string
}

/** What is said of Falco files beside what is in them. */
export interface FalcoFindings {
  /** Rules that are not loaded, by name. */
  readonly refused: readonly string[]
  /** Rendered for a person, errors alone. */
  readonly errors: string
  readonly errorCount: number
  /** Errors other than events and fields that the probes do not yield: something in the files is wrong. */
  readonly faultCount: number
  readonly warningCount: number
}

export interface LoadedFalco extends FalcoFindings {
  readonly falco: FalcoRules
}

export interface LoadedRules {
  readonly native: LoadedNative
  /** undefined: no Falco file was given. */
  readonly falco: LoadedFalco | undefined
}

export interface RulePaths {
  readonly policies: readonly string[]
  readonly falco: readonly string[]
}

/** What the worker sends: plain data, each piece small. */
export type RulePiece =
  | { readonly kind: 'native'; readonly native: Omit<LoadedNative, 'policies'> }
  /** A policy with its tests; its rules follow. */
  | { readonly kind: 'policy'; readonly policy: Policy }
  /** Of the last policy. */
  | { readonly kind: 'rules'; readonly rules: readonly Rule[] }
  | {
      readonly kind: 'falco'
      readonly findings: FalcoFindings
      readonly macros: ReadonlyMap<string, Expression>
      readonly lists: ReadonlyMap<string, readonly Uint8Array[]>
    }
  | { readonly kind: 'falco-rules'; readonly rules: readonly FalcoRule[] }

/** Reading 100,000 rules takes some ten seconds; a reading that hangs must not keep the next one from its turn for ever. */
const LOAD_MAX_MS = 120_000

export async function loadRules(paths: RulePaths): Promise<LoadedRules> {
  const loading = new Loading()
  const { port1, port2 } = new MessageChannel()
  try {
    if (await workerDone(paths, port2)) await takeAll(port1, loading)
    else await (await readerHere()).readRules(paths, (piece) => loading.take(piece))
  } finally {
    port1.close()
  }
  return loading.result()
}

/** What reads rules in this thread. To be called once before there may be no descriptors left to load it with. */
export function readerHere(): Promise<typeof import('./rule-reader.js')> {
  return import('./rule-reader.js')
}

async function takeAll(port: MessagePort, loading: Loading): Promise<void> {
  for (;;) {
    const received = receiveMessageOnPort(port)
    if (received === undefined) return
    loading.take(received.message as RulePiece)
    await nextTurn()
  }
}

/**
 * True: all pieces wait at the other end of the port. False: this host has no descriptors or memory left for a thread; a reload
 * must not fail for that.
 */
function workerDone(paths: RulePaths, port: MessagePort): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./rule-worker.js', import.meta.url), {
      workerData: { paths, port },
      transferList: [port],
    })
    const end = setTimeout(() => {
      fail(`nothing came within ${LOAD_MAX_MS / 1000} s; does a file system hang?`)
      void worker.terminate() // its exit is of no interest any more
    }, LOAD_MAX_MS)
    const fail = (reason: string) => reject(new HullguardError('internal', `the rules could not be loaded: ${reason}`))
    worker.once('error', (error) => {
      clearTimeout(end)
      if (codeOf(error) === 'ERR_WORKER_INIT_FAILED') resolve(false)
      else fail(messageOf(error))
    })
    worker.once('exit', (code) => {
      clearTimeout(end)
      if (code === 0) resolve(true)
      else fail(`the worker ended with ${code}`)
    })
  })
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

class Loading {
  #native: Omit<LoadedNative, 'policies'> | undefined
  readonly #policies: { policy: Policy; rules: Rule[] }[] = []
  #falco: Extract<RulePiece, { kind: 'falco' }> | undefined
  readonly #falcoRules: FalcoRule[] = []

  take(piece: RulePiece): void {
    switch (piece.kind) {
      case 'native':
        this.#native = piece.native
        break
      case 'policy':
        this.#policies.push({ policy: piece.policy, rules: [] })
        break
      case 'rules':
        for (const rule of piece.rules) this.#policies.at(-1)?.rules.push(rule)
        break
      case 'falco':
        this.#falco = piece
        break
      default:
        for (const rule of piece.rules) this.#falcoRules.push(rule)
    }
  }

  result(): LoadedRules {
    if (this.#native === undefined) throw new HullguardError('internal', 'the worker sent no rules')
    const policies = this.#policies.map(({ policy, rules }) => ({ ...policy, rules }))
    const native = { ...this.#native, policies }
    if (this.#falco === undefined) return { native, falco: undefined }
    const { findings, macros, lists } = this.#falco
    return { native, falco: { ...findings, falco: { rules: this.#falcoRules, macros, lists } } }
  }
}
