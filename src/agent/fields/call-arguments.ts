/** Arguments of calls under Falco's names. */
import type { InternedText } from '../../match/conditions/values.js'
import { CALL_KINDS, type CallKind } from '../../record/call-model.js'
import { callRanges } from '../../sensor/batch.js'
import { EvCall } from '../../sensor/generated/abi.js'
import { decodeText } from '../../sensor/text.js'
import { flagNames, MODE_FLAGS, readArguments } from '../event/call-arguments.js'
import { callName, tagOf } from '../event/call-drafts.js'
import { TEXTS } from '../process/texts.js'

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

/** Falco's names of arguments that records name otherwise. */
const ALIASES: Readonly<Partial<Record<string, readonly string[]>>> = {
  mode: ['create_mode'],
  uid: ['uid', 'set_uid'],
  gid: ['gid', 'set_gid'],
  target: ['target_path'],
  sig: ['signal'],
  pid: ['to'],
  proto: ['protocol'],
  nstype: ['flags'],
  dev: ['source'],
  oldfd: ['old_fd'],
  cap_effective: ['effective'],
  cap_permitted: ['permitted'],
  cap_inheritable: ['inheritable'],
}

function argumentsOf(call: EvCall, act: CallKind): Readonly<Record<string, string>> {
  const { rawStart, raw2Start, raw2End } = callRanges(call)
  return readArguments(act, call, callName(call), {
    raw: decodeText(call.bytes, rawStart, raw2Start),
    raw2: decodeText(call.bytes, raw2Start, raw2End),
    tag: tagOf(call),
  })
}

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
  const args = argumentsOf(call, act)
  if (name === 'mode' && args.set_mode !== undefined)
    return TEXTS.ofString(flagNames(MODE_FLAGS, Number.parseInt(args.set_mode, 8)))
  const value = (ALIASES[name] ?? [name]).map((own) => args[own]).find((found) => found !== undefined)
  return value === undefined ? undefined : TEXTS.ofString(value)
}
