/**
 * What an exec's names, arguments and environment come to, as texts and as an image. A host runs the same few commands over
 * and over (health checks, build steps, shells in loops): equal execs share all of it, so that nothing is decoded, kept or
 * asked of rules twice. Copies what it keeps: the event's slab goes back to the reader.
 */
import { EvExec } from '../../sensor/generated/abi.js'
import { decodeText, packBytes } from '../../sensor/text.js'
import { ProcessImage } from './image.js'

/** Byte ranges of an exec's names, in `event.bytes`. */
export interface ExecRanges {
  invokedStart: number
  fileStart: number
  cwdStart: number
  argsStart: number
  argsEnd: number
}

export interface ExecNames {
  readonly invoked: string
  readonly exe: string
  readonly cwd: string
  readonly args: readonly string[]
  readonly image: ProcessImage
}

interface Shared {
  /** From the comm to the end of the environment, a character a byte. */
  bytes: string
  invokedBytes: number
  fileBytes: number
  cwdBytes: number
  argsBytes: number
  names: ExecNames
}

/** 1,024 of at most 512 bytes: about 1 MiB with their texts. A newer one takes the place of an older with the same slot. */
const SLOTS_COUNT = 1024
const SHARED_MAX_BYTES = 512

export function execRanges(event: EvExec): ExecRanges {
  const invokedStart = event.at + EvExec.SIZE_BYTES
  const fileStart = invokedStart + event.invokedBytes
  const cwdStart = fileStart + event.fileBytes
  const argsStart = cwdStart + event.cwdBytes
  return { invokedStart, fileStart, cwdStart, argsStart, argsEnd: argsStart + event.argsBytes }
}

export class ExecNameCache {
  readonly #slots = new Array<Shared | undefined>(SLOTS_COUNT).fill(undefined)

  of(event: EvExec): ExecNames {
    const { bytes, at, invokedBytes, fileBytes, cwdBytes, argsBytes, envBytes } = event
    const start = at + EvExec.COMM_OFFSET // the strings follow the comm
    const end = at + EvExec.SIZE_BYTES + invokedBytes + fileBytes + cwdBytes + argsBytes + envBytes
    if (end - start > SHARED_MAX_BYTES) return namesOf(event)
    const slot = slotOf(bytes, start, end)
    const known = this.#slots[slot]
    if (
      known?.invokedBytes === invokedBytes &&
      known.fileBytes === fileBytes &&
      known.cwdBytes === cwdBytes &&
      known.argsBytes === argsBytes &&
      isSame(known.bytes, bytes, start, end)
    )
      return known.names
    const names = namesOf(event)
    this.#slots[slot] = { bytes: packBytes(bytes, start, end), invokedBytes, fileBytes, cwdBytes, argsBytes, names }
    return names
  }
}

function namesOf(event: EvExec): ExecNames {
  const { bytes } = event
  const { invokedStart, fileStart, cwdStart, argsStart, argsEnd } = execRanges(event)
  return {
    invoked: decodeText(bytes, invokedStart, fileStart),
    exe: decodeText(bytes, fileStart, cwdStart),
    cwd: decodeText(bytes, cwdStart, argsStart),
    args: splitArguments(bytes, argsStart, argsEnd),
    image: ProcessImage.ofExec(event),
  }
}

/** FNV-1a over the bytes, folded to a slot. */
function slotOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193)
  return (hash ^ (hash >>> 15)) & (SLOTS_COUNT - 1)
}

function isSame(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) !== bytes[start + index]) return false
  return true
}

/** Arguments end in NUL each; empty ones are kept. The last may lack its NUL when it was cut. */
function splitArguments(bytes: Uint8Array, start: number, end: number): string[] {
  const args: string[] = []
  let from = start
  while (from < end) {
    let to = bytes.indexOf(0, from)
    if (to === -1 || to > end) to = end
    args.push(decodeText(bytes, from, to))
    from = to + 1
  }
  return args
}
