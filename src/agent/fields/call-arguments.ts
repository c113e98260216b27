/** Arguments of calls under Falco's names. */
import type { InternedText } from '../../match/conditions/values.js'
import { CALL_KINDS, type CallKind } from '../../record/call-model.js'
import { EvCall } from '../../sensor/generated/abi.js'
import { TEXTS } from './texts.js'

/** Where the strings of a call stand in `event.bytes`. */
export function pathStart(call: EvCall): number {
  return call.at + EvCall.SIZE_BYTES
}

function text(call: EvCall, skippedBytes: number, sizeBytes: number): InternedText | undefined {
  const start = pathStart(call) + skippedBytes
  return sizeBytes === 0 ? undefined : TEXTS.of(call.bytes, start, start + sizeBytes)
}

export function actOf(call: EvCall): CallKind | undefined {
  return CALL_KINDS[call.act - 1]
}

const path = (call: EvCall) => text(call, 0, call.pathBytes)
const path2 = (call: EvCall) => text(call, call.pathBytes, call.path2Bytes)

type Read = (call: EvCall) => InternedText | undefined

/** Arguments that are names of files. */
const PATHS: Readonly<Partial<Record<string, Readonly<Partial<Record<CallKind, Read>>>>>> = {
  name: { open: path, unlink: path, memfd: path },
  path: { open: path, unlink: path, mkdir: path, rmdir: path, chroot: path, truncate: path, chown: path, chmod: path },
  filename: { open: path, chmod: path, chown: path },
  oldpath: { rename: path, link: path },
  newpath: { rename: path2, link: path2 },
  linkpath: { symlink: path },
  dir: { mount: path },
  special: { umount: path },
}

/** undefined: the call has no such argument. */
export function callArgument(call: EvCall, name: string): InternedText | undefined {
  const act = actOf(call)
  if (act === undefined) return undefined
  const read = PATHS[name]?.[act]
  if (read !== undefined) return read(call)
  if (name === 'fd') return call.fd < 0 ? undefined : TEXTS.ofString(`${call.fd}`)
  return undefined
}
