/**
 * The cases of test/conformance/policy: each a policy with the diagnostics it must give, word for word, or with events and
 * the rules each must hit, judged by the compiled program and by the oracle. UPDATE_GOLDEN=1 rewrites the diagnostics.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { compileProgram } from '../../src/match/program.js'
import type { Hits, Profile, Program } from '../../src/match/types.js'
import { capabilityNumber } from '../../src/policy/capabilities.js'
import { loadPolicies } from '../../src/policy/load.js'
import type { Policy, Rule } from '../../src/policy/model.js'
import { FILE_ACCESS, FILE_ACCESSES } from '../../src/policy/model.js'
import { parseHost } from '../../src/policy/net-pattern.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'
import { nativeSyscall, syscallName } from '../../src/policy/syscalls.js'
import * as oracle from '../differential/oracle.js'
import { oracleConnect, oracleExec, oracleSyscall } from '../differential/oracle.js'

const folder = fileURLToPath(new URL('../../../test/conformance/policy/', import.meta.url))

interface CaseEvent {
  exec?: { invoked: string; file?: string; script?: boolean; foreign_root?: boolean; verified?: boolean }
  connect?: { to: string; port: number; proto?: string }
  syscall?: { name: string; abi?: 'native' | 'ia32' | 'x32' }
  file?: { path: string; other?: string; access: string | string[] }
  listen?: { at: string; port: number }
  signal?: { uid: number; gid?: number; user?: string; group?: string; exe?: string }
  mount?: { source?: string; target: string; fstype?: string }
  capability?: string | string[]
  setup?: boolean
  hits: string[]
}

interface Case {
  note: string
  policy: string
  /** UTC day on which it is loaded. */
  now?: string
  /** Files that it may include, by name. */
  files?: Record<string, string>
  diagnostics?: string
  events?: CaseEvent[]
}

const CONTAINER = {
  state: 'container' as const,
  id: 'c',
  name: 'web',
  image: 'demo/web:1',
  imageId: '',
  runtime: 'docker',
  labels: { tier: 'web' },
  outerIds: [],
}
const ABIS = ['native', 'ia32', 'x32']
const PROTOS: Record<string, number> = { tcp: 6, udp: 17, icmp: 1 }

for (const file of readdirSync(folder).sort()) {
  const text = readFileSync(folder + file, 'utf8')
  const each = parse(text) as Case
  test(`${file.replace('.yaml', '')}: ${each.note}`, () => {
    assert.ok(each.diagnostics !== undefined || each.events !== undefined, 'a case expects something')
    const include = (_: string, name: string) => {
      const text = each.files?.[name]
      return text === undefined ? 'there is no such file' : { file: name, bytes: new TextEncoder().encode(text) }
    }
    const nowMs = each.now === undefined ? 0 : Date.parse(each.now)
    const inputs = [{ file: 'case.yaml', bytes: new TextEncoder().encode(each.policy) }]
    const loaded = loadPolicies(inputs, [], { include, nowMs, yields: () => true })
    const rendered = renderDiagnostics(loaded)
    if (process.env.UPDATE_GOLDEN === '1' && each.diagnostics !== undefined)
      writeFileSync(
        folder + file,
        `${text.slice(0, text.indexOf('\ndiagnostics: |'))}\ndiagnostics: |\n${indented(rendered)}`,
      )
    else if (each.diagnostics !== undefined) assert.equal(rendered.trimEnd(), each.diagnostics.trimEnd())
    if (each.events !== undefined) assert.equal(loaded.errorCount, 0, rendered)
    for (const [index, event] of (each.events ?? []).entries()) judge(loaded.policies, event, index, nowMs)
  })
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ')
}

function judge(policies: readonly Policy[], event: CaseEvent, index: number, nowMs: number): void {
  const program = compileProgram(policies, nowMs)
  const profile = program.profileFor(CONTAINER)
  const hits = { rules: new Uint32Array(program.rules.length), count: 0 }
  const setup = event.setup === true
  let violates: (rule: Rule) => boolean
  if (event.exec !== undefined) {
    const encoder = new TextEncoder()
    const invoked = encoder.encode(event.exec.invoked)
    const file = encoder.encode(event.exec.file ?? event.exec.invoked)
    const flags = {
      isScript: event.exec.script === true,
      foreignRoot: event.exec.foreign_root === true,
      verified: event.exec.verified === true,
    }
    const bytes = Uint8Array.from([...invoked, ...file])
    const places = { invokedStart: 0, invokedEnd: invoked.length, fileStart: invoked.length, fileEnd: bytes.length }
    program.matchExec(profile, { bytes, ...places, ...flags }, setup, hits)
    violates = (rule) => rule.kind === 'exec' && oracleExec(rule, { invoked, file, ...flags })
  } else if (event.connect !== undefined) {
    const host = parseHost(event.connect.to)
    assert.ok(host.ok)
    const address = host.net.network
    const { port } = event.connect
    const proto = PROTOS[event.connect.proto ?? 'tcp'] ?? 0
    program.matchConnect(profile, address, 0, port, proto, setup, hits)
    violates = (rule) => rule.kind === 'connect' && oracleConnect(rule, { address, port, proto })
  } else if (event.syscall === undefined) violates = judgeCall(program, profile, event, setup, hits)
  else {
    const wanted = event.syscall
    const abi = ABIS.indexOf(wanted.abi ?? 'native')
    const nr = Array.from({ length: 600 }, (_, at) => at).find((at) => syscallName(at, abi) === wanted.name)
    assert.ok(nr !== undefined, `there is a call ${wanted.name}`)
    program.matchSyscall(profile, nr, abi, setup, hits)
    violates = (rule) => rule.kind === 'syscall' && oracleSyscall(rule, { nr, abi, native: nativeSyscall(nr, abi) })
  }
  const names = [...hits.rules.subarray(0, hits.count)].map((id) => program.rules[id]?.name)
  assert.deepEqual(names, event.hits, `event ${index + 1}, program`)
  // program.rules: with the exceptions that count at that time
  const judged = [...profile.rules]
    .flatMap((id) => program.rules[id] ?? [])
    .filter((rule) => rule.enabled && (!setup || rule.setup) && violates(rule))
  assert.deepEqual(
    judged.map(({ name }) => name),
    event.hits,
    `event ${index + 1}, oracle`,
  )
}

/** Asks the program; the answer is how the oracle sees it. */
function judgeCall(
  program: Program,
  profile: Profile,
  event: CaseEvent,
  setup: boolean,
  hits: Hits,
): (rule: Rule) => boolean {
  const encode = (text: string | undefined) => new TextEncoder().encode(text ?? '')
  if (event.file !== undefined) {
    const names = [event.file.access].flat()
    const access = names.reduce(
      (mask, name) => mask | FILE_ACCESS[FILE_ACCESSES.find((each) => each === name) ?? 'read'],
      0,
    )
    assert.ok(names.every((name) => FILE_ACCESSES.some((each) => each === name)))
    const path = encode(event.file.path)
    const other = event.file.other === undefined ? undefined : encode(event.file.other)
    const bytes = Uint8Array.from([...path, ...(other ?? [])])
    const ranges = { start: 0, end: path.length, otherStart: path.length, otherEnd: bytes.length }
    program.matchFile(profile, { bytes, ...ranges, hasOther: other !== undefined }, access, setup, hits)
    return (rule) => rule.kind === 'file' && oracle.oracleFile(rule, { path, other, access })
  }
  if (event.listen !== undefined) {
    const host = parseHost(event.listen.at)
    assert.ok(host.ok)
    const listen = { address: host.net.network, port: event.listen.port }
    program.matchListen(profile, listen.address, 0, listen.port, setup, hits)
    return (rule) => rule.kind === 'listen' && oracle.oracleListen(rule, listen)
  }
  if (event.signal !== undefined) {
    const { uid, gid = uid, user = '', group = '' } = event.signal
    const exe = encode(event.signal.exe)
    program.matchSignal(profile, { uid, gid, user, group, bytes: exe, exeStart: 0, exeEnd: exe.length }, setup, hits)
    return (rule) => rule.kind === 'signal' && oracle.oracleSignal(rule, { uid, gid, user, group, exe })
  }
  if (event.mount !== undefined) {
    const { source = '', fstype = '' } = event.mount
    const [first, target, last] = [encode(source), encode(event.mount.target), encode(fstype)]
    const targetEnd = first.length + target.length
    const ranges = { sourceStart: 0, sourceEnd: first.length, targetStart: first.length, targetEnd }
    const bytes = Uint8Array.from([...first, ...target, ...last])
    program.matchMount(profile, { bytes, ...ranges, fstypeStart: targetEnd, fstypeEnd: bytes.length }, setup, hits)
    return (rule) => rule.kind === 'mount' && oracle.oracleMount(rule, { source, target, fstype })
  }
  assert.ok(event.capability !== undefined, 'an event says what happened')
  const gained = [event.capability].flat().map((name) => capabilityNumber(name) ?? assert.fail(name))
  const word = (from: number) =>
    gained.reduce((bits, number) => (number >= from && number < from + 32 ? bits | (1 << (number - from)) : bits), 0)
  program.matchCapability(profile, word(0), word(32), setup, hits)
  return (rule) => rule.kind === 'capability' && oracle.oracleCapability(rule, gained)
}
