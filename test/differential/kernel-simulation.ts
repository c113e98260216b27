/**
 * What the BPF programs do with the tables of a lowered profile (bpf/lib/verdict.bpf.h, bpf/programs/*.bpf.c), in
 * TypeScript: exact, longest prefix, base name; longest network and its port range; the bitmap of calls.
 */

import type { LoweredProfile } from '../../src/respond/lower.js'
import type { ExecResult } from '../../src/respond/lower-exec.js'
import type { FileResult } from '../../src/respond/lower-file.js'
import { SaidKind, SaidWhat } from '../../src/sensor/generated/abi.js'
import type { OracleConnect, OracleExec, OracleFile, OracleListen, OracleMount, OracleSender } from './oracle.js'

const KEY_PATH_BYTES = 240

/** bit i: ruleIds[i] is answered, is violated. */
export interface KernelVerdict {
  decided: bigint
  violated: bigint
}

export function kernelExec(lowered: LoweredProfile, event: OracleExec, setup: boolean): KernelVerdict {
  const judged = setup ? lowered.execRules & lowered.setup : lowered.execRules
  const invoked = kernelName(lowered, event.invoked)
  const file = kernelName(lowered, event.file)
  let violated = (invoked.violated | file.violated) & judged
  const tooLong = event.invoked.length >= KEY_PATH_BYTES || event.file.length >= KEY_PATH_BYTES
  if (tooLong || event.foreignRoot) return { decided: violated, violated }
  let uncovered = lowered.execAllow & ~invoked.decided
  if (event.isScript) uncovered |= lowered.execAllow & ~file.decided
  violated |= uncovered & judged
  return { decided: judged, violated }
}

function kernelName(lowered: LoweredProfile, name: Uint8Array): KernelVerdict {
  const sum = { decided: 0n, violated: 0n }
  if (name.length === 0 || name.length >= KEY_PATH_BYTES) return sum
  const text = latin1(name)
  merge(
    sum,
    lowered.execExact.find(({ path }) => latin1(path) === text),
  )
  const prefixes = lowered.execPrefix.filter(({ dir }) => text.startsWith(latin1(dir)))
  merge(sum, prefixes.sort((a, b) => b.dir.length - a.dir.length)[0])
  const base = text.slice(text.lastIndexOf('/') + 1)
  if (base !== '')
    merge(
      sum,
      lowered.execBase.find(({ name: key }) => latin1(key) === base),
    )
  return sum
}

function merge(sum: KernelVerdict, found: ExecResult | undefined): void {
  if (found === undefined) return
  const fresh = found.decided & ~sum.decided
  sum.violated |= found.violated & fresh
  sum.decided |= fresh
}

/** As file__judge_path() of bpf/programs/lsm_file.bpf.c: of each path the exact entry or the longest prefix, then the base name. */
export function kernelFile(lowered: LoweredProfile, { path, other, access }: OracleFile, setup: boolean): bigint {
  const judged = setup ? lowered.fileRules & lowered.setup : lowered.fileRules
  let violated = 0n
  for (const name of other === undefined ? [path] : [path, other]) violated |= kernelPath(lowered, latin1(name), access)
  return violated & judged
}

function kernelPath(lowered: LoweredProfile, text: string, access: number): bigint {
  const exact = text.length < KEY_PATH_BYTES ? lowered.fileExact.find(({ path }) => latin1(path) === text) : undefined
  const prefixes = lowered.filePrefix.filter(({ dir }) => `${text}/`.slice(0, KEY_PATH_BYTES).startsWith(latin1(dir)))
  const rooted: FileResult | undefined = exact ?? prefixes.sort((a, b) => b.dir.length - a.dir.length)[0]
  const tail = text.slice(-KEY_PATH_BYTES)
  const start = tail.lastIndexOf('/') + 1
  const base = start === 0 ? undefined : lowered.fileBase.find(({ name }) => latin1(name) === tail.slice(start))
  let violated = 0n
  for (let bit = 0; bit < 8; bit++) {
    if (((access >>> bit) & 1) === 0) continue
    let decided = rooted?.decided[bit] ?? 0n
    violated |= (rooted?.violated[bit] ?? 0n) | ((base?.violated[bit] ?? 0n) & ~decided)
    decided |= base?.decided[bit] ?? 0n
    violated |= (lowered.fileDefault[bit] ?? 0n) & ~decided
  }
  return violated
}

/** As said__judge() of bpf/programs/said.bpf.c. `texts` and `numbers`: by what they are. */
function kernelSaid(
  { saidRules, saidExact, saidBase, saidPrefix, saidNumbers }: LoweredProfile,
  kind: number,
  texts: readonly { what: number; bytes: Uint8Array; isPath: boolean }[],
  numbers: readonly { what: number; number: number }[],
): KernelVerdict {
  const own = saidRules.find((rules) => rules.kind === kind)
  if (own === undefined) return { decided: 0n, violated: 0n }
  let held = 0n
  const add = (found: { said: bigint } | undefined) => {
    held |= found?.said ?? 0n
  }
  for (const { what, bytes, isPath } of texts) {
    const text = latin1(bytes)
    if (text === '') continue
    const key = text.slice(0, KEY_PATH_BYTES)
    const of = <Entry extends { what: number; bytes: Uint8Array }>(entries: readonly Entry[], wanted: string) =>
      entries.find((entry) => entry.what === what && latin1(entry.bytes) === wanted)
    if (text.length < KEY_PATH_BYTES) add(of(saidExact, text))
    if (!isPath) continue
    const prefixes = saidPrefix.filter((entry) => entry.what === what && key.startsWith(latin1(entry.bytes)))
    add(prefixes.sort((a, b) => b.bytes.length - a.bytes.length)[0])
    const tail = text.slice(-KEY_PATH_BYTES)
    const start = tail.lastIndexOf('/') + 1
    if (start > 0 && start < tail.length) add(of(saidBase, tail.slice(start)))
  }
  for (const { what, number } of numbers)
    add(saidNumbers.find((entry) => entry.what === what && entry.number === number))
  let decided = 0n
  let violated = 0n
  for (const { needed, rule, violated: denied } of own.entries) {
    if ((needed & ~held) !== 0n || (rule & decided) !== 0n) continue
    decided |= rule
    violated |= denied
  }
  return { decided: own.rules, violated: violated | (own.byDefault & ~decided) }
}

export function kernelMount(lowered: LoweredProfile, { source, target, fstype }: OracleMount, setup: boolean): bigint {
  const { decided, violated } = kernelSaid(
    lowered,
    SaidKind.MOUNT,
    [
      { what: SaidWhat.TARGET, bytes: target, isPath: true },
      { what: SaidWhat.SOURCE, bytes: Buffer.from(source), isPath: false },
      { what: SaidWhat.FSTYPE, bytes: Buffer.from(fstype), isPath: false },
    ],
    [],
  )
  return violated & (setup ? decided & lowered.setup : decided)
}

export function kernelSignal(lowered: LoweredProfile, { uid, gid, exe }: OracleSender, setup: boolean): bigint {
  const numbers = [
    { what: SaidWhat.USER, number: uid },
    { what: SaidWhat.GROUP, number: gid },
  ]
  const { decided, violated } = kernelSaid(
    lowered,
    SaidKind.SIGNAL,
    [{ what: SaidWhat.EXE, bytes: exe, isPath: true }],
    numbers,
  )
  return violated & (setup ? decided & lowered.setup : decided)
}

export function kernelListen(lowered: LoweredProfile, { address, port }: OracleListen, setup: boolean): bigint {
  const judged = setup ? lowered.listenRules & lowered.setup : lowered.listenRules
  return kernelNode(lowered.listenNodes, { address, port, proto: 6 }) & judged
}

export function kernelConnect(lowered: LoweredProfile, event: OracleConnect, setup: boolean): bigint {
  const judged = setup ? lowered.connectRules & lowered.setup : lowered.connectRules
  return kernelNode(lowered.connectNodes, event) & judged
}

function kernelNode(nodes: LoweredProfile['connectNodes'], event: OracleConnect): bigint {
  const bits = bitsOf(event.address)
  const node = nodes
    .filter(({ address, prefixBits }) => bits.startsWith(bitsOf(address).slice(0, prefixBits)))
    .sort((a, b) => b.prefixBits - a.prefixBits)[0]
  const range = node?.ranges.find(({ from, to }) => from <= event.port && event.port <= to)
  if (range === undefined) return 0n
  return event.proto === 6 ? range.violatedTcp : range.violatedUdp
}

export function kernelSyscallOutside(
  lowered: LoweredProfile,
  nr: number,
  abi: number,
): { outside: boolean; kill: boolean } {
  const table = lowered.syscalls.find((candidate) => candidate.abi === abi)
  const bit = BigInt(nr % 64)
  const has = (words: readonly bigint[] | undefined) => (((words?.[Math.floor(nr / 64)] ?? 0n) >> bit) & 1n) === 1n
  return { outside: has(table?.outside), kill: has(table?.killMask) }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}

function bitsOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
}
