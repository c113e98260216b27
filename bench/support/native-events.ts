/** The acts of the capture that native rules are about, in the order and the mix in which they happened. */
import { FILE_ACCESS } from '../../src/policy/model.js'
import type { CallBody, CallKind } from '../../src/record/call-model.js'
import type { HullguardRecord } from '../../src/record/model.js'
import { addressOf, replayed } from './condition-events.js'

export type BenchEvent =
  | { kind: 'exec'; invoked: string; file: string; isScript: boolean }
  | { kind: 'connect'; address: Uint8Array; port: number; proto: number }
  | { kind: 'listen'; address: Uint8Array; port: number }
  | { kind: 'syscall'; nr: number }
  | { kind: 'file'; path: string; other: string | undefined; access: number }

const PROTOS = { tcp: 6, udp: 17, other: 0 }
const ACCESS: Partial<Record<CallKind, number>> = {
  unlink: FILE_ACCESS.delete,
  rmdir: FILE_ACCESS.delete,
  rename: FILE_ACCESS.rename,
  link: FILE_ACCESS.link,
  symlink: FILE_ACCESS.create,
  mkdir: FILE_ACCESS.create,
  chmod: FILE_ACCESS.chmod,
  chown: FILE_ACCESS.chown,
  truncate: FILE_ACCESS.write,
}

export function capturedActs(): BenchEvent[] {
  const acts: BenchEvent[] = []
  replayed([], (record) => {
    const act = actOf(record)
    if (act !== undefined) acts.push(act)
  })
  return acts
}

function actOf({ kind, exec, connect, listen, syscall, call }: HullguardRecord): BenchEvent | undefined {
  if (kind === 'exec' && exec !== undefined)
    return { kind, invoked: exec.path, file: exec.file, isScript: exec.script !== '' }
  if (kind === 'connect' && connect !== undefined)
    return { kind, address: addressOf(connect.ip), port: connect.port, proto: PROTOS[connect.proto] }
  if (kind === 'listen' && listen !== undefined) return { kind, address: addressOf(listen.ip), port: listen.port }
  if (kind === 'syscall' && syscall !== undefined) return { kind, nr: syscall.nr }
  return call === undefined || (call.result ?? 0n) < 0n ? undefined : fileAct(call)
}

function fileAct({ act, access, path, newPath }: CallBody): BenchEvent | undefined {
  const done = act === 'open' ? access.reduce((mask, name) => mask | FILE_ACCESS[name], 0) : (ACCESS[act] ?? 0)
  if (done === 0) return undefined
  return { kind: 'file', path, other: act === 'rename' || act === 'link' ? newPath : undefined, access: done }
}
