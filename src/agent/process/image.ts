/**
 * What an exec made of a process: its names, arguments, environment, as bytes and as texts that are made when a rule first
 * reads them. Children share their parent's image until they execute something themselves.
 */
import type { InternedText } from '../../match/conditions/values.js'
import { COMM_BYTES, EvExec } from '../../sensor/generated/abi.js'
import { packBytes } from '../../sensor/text.js'
import { TEXTS } from './texts.js'

const BLANK = 0x20
const SLASH = 0x2f
const NOTHING = new Uint8Array(0)

export interface ImageParts {
  /** At most 15 bytes. */
  comm: Uint8Array
  /** Resolved executable. */
  file: Uint8Array
  cwd: Uint8Array
  /** Each argument ends in NUL; the last may lack it. */
  args: Uint8Array
  /** As args; undefined: was not read. */
  env: Uint8Array | undefined
}

/** `comm` empty or absent: not known; `env`, `NAME=value` each, absent: was not read. */
export interface ProcessTexts {
  comm?: string
  exe: string
  cwd: string
  args: readonly string[]
  env?: readonly string[]
}

const terminated = (words: readonly string[]) => Buffer.from(words.map((word) => `${word}\0`).join(''))

/** Parts as they lie in an exec event, a character a byte: one small object where five typed arrays would outlive the exec. */
interface PackedParts {
  packed: string
  fileBytes: number
  cwdBytes: number
  argsBytes: number
  envBytes: number
}

export class ProcessImage {
  /** Packed until a rule reads a part: most images are never asked. */
  #held: PackedParts | ImageParts
  #name: InternedText | undefined
  #exe: InternedText | undefined
  #exePath: InternedText | undefined
  #args: InternedText | undefined
  #cmdline: InternedText | undefined
  #exeline: InternedText | undefined
  #cwd: InternedText | undefined
  #env: InternedText | undefined
  #variables: Map<string, InternedText | undefined> | undefined

  private constructor(parts: PackedParts | ImageParts) {
    this.#held = parts
  }

  /** Copies what it keeps: the event's slab goes back to the reader. */
  static ofExec(event: EvExec): ProcessImage {
    const { bytes, at, invokedBytes, fileBytes, cwdBytes, argsBytes, envBytes } = event
    const commStart = at + EvExec.COMM_OFFSET
    const commEnd = commStart + COMM_BYTES
    const fileStart = at + EvExec.SIZE_BYTES + invokedBytes
    const fileEnd = fileStart + fileBytes + cwdBytes + argsBytes + envBytes
    const text = packBytes(bytes, commStart, commEnd) + packBytes(bytes, fileStart, fileEnd)
    return new ProcessImage({ packed: text, fileBytes, cwdBytes, argsBytes, envBytes })
  }

  /** Of a process whose exec was not seen; without a comm its name is that of the file. */
  static ofTexts(facts: ProcessTexts): ProcessImage {
    const { comm = '', exe, cwd, args, env } = facts
    return new ProcessImage({
      comm: Buffer.from(comm === '' ? exe.slice(exe.lastIndexOf('/') + 1) : comm).subarray(0, 15),
      file: Buffer.from(exe),
      cwd: Buffer.from(cwd),
      args: terminated(args),
      env: env === undefined ? undefined : terminated(env),
    })
  }

  get #parts(): ImageParts {
    if ('packed' in this.#held) this.#held = unpack(this.#held)
    return this.#held
  }

  get name(): InternedText | undefined {
    if (this.#parts.comm.length === 0) return undefined
    this.#name ??= TEXTS.of(this.#parts.comm)
    return this.#name
  }

  /** The first argument; of a process that has none (kernel threads, an empty list) its name. */
  get exe(): InternedText | undefined {
    const { args } = this.#parts
    if (args.length === 0 || args[0] === 0) return this.name
    this.#exe ??= TEXTS.of(args, 0, firstEnd(args))
    return this.#exe
  }

  get exePath(): InternedText | undefined {
    if (this.#parts.file.length === 0) return undefined
    this.#exePath ??= TEXTS.of(this.#parts.file)
    return this.#exePath
  }

  /** The arguments but the first, joined by blanks. */
  get args(): InternedText {
    const { args } = this.#parts
    this.#args ??= TEXTS.of(joined(args.subarray(Math.min(args.length, firstEnd(args) + 1))))
    return this.#args
  }

  get cmdline(): InternedText | undefined {
    const { name, args } = this
    if (name === undefined) return undefined
    this.#cmdline ??= TEXTS.of(withBlank(name.bytes, args.bytes))
    return this.#cmdline
  }

  get exeline(): InternedText | undefined {
    const { exe, args } = this
    if (exe === undefined) return undefined
    this.#exeline ??= TEXTS.of(withBlank(exe.bytes, args.bytes))
    return this.#exeline
  }

  /** Ends in a slash, as Falco has it: `startswith /dev/shm/` holds in /dev/shm itself. */
  get cwd(): InternedText | undefined {
    const { cwd } = this.#parts
    if (cwd.length === 0) return undefined
    this.#cwd ??= TEXTS.of(cwd[cwd.length - 1] === SLASH ? cwd : Buffer.concat([cwd, Buffer.from('/')]))
    return this.#cwd
  }

  /** How many arguments stand behind the first. */
  get argsCount(): number {
    const { args } = this.#parts
    let count = args.length > 0 && args[args.length - 1] !== 0 ? 1 : 0
    for (const byte of args) if (byte === 0) count++
    return Math.max(0, count - 1)
  }

  get env(): InternedText | undefined {
    if (this.#parts.env === undefined) return undefined
    this.#env ??= TEXTS.of(joined(this.#parts.env))
    return this.#env
  }

  /** The value of a variable. */
  variable(name: string): InternedText | undefined {
    const { env } = this.#parts
    if (env === undefined) return undefined
    this.#variables ??= new Map()
    if (!this.#variables.has(name)) this.#variables.set(name, findVariable(env, name))
    return this.#variables.get(name)
  }

  /** Argument i, the first being 0. */
  argument(index: number): Uint8Array | undefined {
    const { args } = this.#parts
    let start = 0
    for (let left = index; left > 0 && start < args.length; left--) start += firstEnd(args.subarray(start)) + 1
    return start >= args.length ? undefined : args.subarray(start, start + firstEnd(args.subarray(start)))
  }
}

function unpack({ packed, fileBytes, cwdBytes, argsBytes, envBytes }: PackedParts): ImageParts {
  const bytes = Uint8Array.from(Buffer.from(packed, 'latin1')) // a plain copy: a Buffer's slice() would share its memory
  const cwdStart = COMM_BYTES + fileBytes
  const argsStart = cwdStart + cwdBytes
  const argsEnd = argsStart + argsBytes
  return {
    comm: untilNul(bytes.subarray(0, COMM_BYTES)),
    file: bytes.subarray(COMM_BYTES, cwdStart),
    cwd: bytes.subarray(cwdStart, argsStart),
    args: bytes.subarray(argsStart, argsEnd),
    env: envBytes === 0 ? undefined : bytes.subarray(argsEnd, argsEnd + envBytes),
  }
}

function firstEnd(list: Uint8Array): number {
  const end = list.indexOf(0)
  return end === -1 ? list.length : end
}

function untilNul(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, firstEnd(bytes))
}

/** NUL between entries becomes a blank, the last one goes. */
function joined(list: Uint8Array): Uint8Array {
  if (list.length === 0) return NOTHING
  const end = list[list.length - 1] === 0 ? list.length - 1 : list.length
  return list.slice(0, end).map((byte) => (byte === 0 ? BLANK : byte))
}

function withBlank(first: Uint8Array, rest: Uint8Array): Uint8Array {
  if (rest.length === 0) return first
  const both = new Uint8Array(first.length + 1 + rest.length)
  both.set(first)
  both[first.length] = BLANK
  both.set(rest, first.length + 1)
  return both
}

function findVariable(env: Uint8Array, name: string): InternedText | undefined {
  const wanted = Buffer.from(`${name}=`)
  for (let start = 0; start < env.length; ) {
    const end = start + firstEnd(env.subarray(start))
    const isFound = end - start >= wanted.length && wanted.equals(env.subarray(start, start + wanted.length))
    if (isFound) return TEXTS.of(env, start + wanted.length, end)
    start = end + 1
  }
  return undefined
}
