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
import { loadPolicies } from '../../src/policy/load.js'
import type { Policy, Rule } from '../../src/policy/model.js'
import { parseHost } from '../../src/policy/net-pattern.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'
import { nativeSyscall, syscallName } from '../../src/policy/syscalls.js'
import { oracleConnect, oracleExec, oracleSyscall } from '../differential/oracle.js'

const folder = fileURLToPath(new URL('../../../test/conformance/policy/', import.meta.url))

interface CaseEvent {
  exec?: { invoked: string; file?: string; script?: boolean; foreign_root?: boolean; verified?: boolean }
  connect?: { to: string; port: number; proto?: string }
  syscall?: { name: string; abi?: 'native' | 'ia32' | 'x32' }
  setup?: boolean
  hits: string[]
}

interface Case {
  note: string
  policy: string
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
    const loaded = loadPolicies([{ file: 'case.yaml', bytes: new TextEncoder().encode(each.policy) }])
    const rendered = renderDiagnostics(loaded)
    if (process.env.UPDATE_GOLDEN === '1' && each.diagnostics !== undefined)
      writeFileSync(
        folder + file,
        `${text.slice(0, text.indexOf('\ndiagnostics: |'))}\ndiagnostics: |\n${indented(rendered)}`,
      )
    else if (each.diagnostics !== undefined) assert.equal(rendered.trimEnd(), each.diagnostics.trimEnd())
    if (each.events !== undefined) assert.equal(loaded.errorCount, 0, rendered)
    for (const [index, event] of (each.events ?? []).entries()) judge(loaded.policies, event, index)
  })
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ')
}

function judge(policies: readonly Policy[], event: CaseEvent, index: number): void {
  const program = compileProgram(policies)
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
  } else {
    const wanted = event.syscall
    assert.ok(wanted !== undefined, 'an event is an exec, a connect or a syscall')
    const abi = ABIS.indexOf(wanted.abi ?? 'native')
    const nr = Array.from({ length: 600 }, (_, at) => at).find((at) => syscallName(at, abi) === wanted.name)
    assert.ok(nr !== undefined, `there is a call ${wanted.name}`)
    program.matchSyscall(profile, nr, abi, setup, hits)
    violates = (rule) => rule.kind === 'syscall' && oracleSyscall(rule, { nr, abi, native: nativeSyscall(nr, abi) })
  }
  const names = [...hits.rules.subarray(0, hits.count)].map((id) => program.rules[id]?.name)
  assert.deepEqual(names, event.hits, `event ${index + 1}, program`)
  const judged = [...profile.rules]
    .flatMap((id) => program.rules[id] ?? [])
    .filter((rule) => rule.enabled && (!setup || rule.setup) && violates(rule))
  assert.deepEqual(
    judged.map(({ name }) => name),
    event.hits,
    `event ${index + 1}, oracle`,
  )
}
