/** Files of policies: what a good one becomes, and how a bad one is refused without harm to the others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DIAGNOSTICS_MAX_COUNT } from '../../src/policy/diagnostics.js'
import { type LoadResult, loadPolicies } from '../../src/policy/load.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'
import { syscallNumber } from '../../src/policy/syscalls.js'
import { ERRORS } from '../../src/telemetry/generated/errors.js'

const encoder = new TextEncoder()

function load(...files: [file: string, text: string | Uint8Array][]): LoadResult {
  return loadPolicies(
    files.map(([file, text]) => ({
      file,
      bytes: typeof text === 'string' ? encoder.encode(text) : text,
    })),
  )
}

function codes(result: LoadResult): string[] {
  return result.diagnostics.map(({ code }) => code)
}

const FULL = `
policy: web-tier
description: what the web tier may do
containers: { image: [registry.example/shop/web*, "!*-debug"], labels: { tier: web } }
mode: block
rules:
  - rule: only the server runs
    exec: { allow: [/usr/sbin/nginx, /bin/sh], deny: nc }
    priority: critical
    tags: [pci, web]
    action: kill
    setup: true
  - rule: no web requests
    connect:
      deny: ["*:80", "[2001:db8::/32]:443/udp"]
      allow: [10.0.0.0/8, { to: 10.1.2.3, port: 8000-8999, protocol: tcp }]
    action: deny
    enabled: false
  - rule: calls
    syscall: { deny: [ptrace, mount] }
  - rule: memory
    memory: { max: 512MiB, for: 10s }
`

test('a good file becomes policies with every value given, and defaults for the rest', () => {
  const result = load(['web.yaml', FULL])
  assert.equal(renderDiagnostics(result), '')
  const [policy] = result.policies
  assert.ok(policy !== undefined)
  assert.equal(policy.name, 'web-tier')
  assert.equal(policy.description, 'what the web tier may do')
  assert.equal(policy.mode, 'block')
  assert.deepEqual(policy.containers, {
    image: ['registry.example/shop/web*', '!*-debug'],
    labels: { tier: ['web'] },
  })
  assert.deepEqual(policy.span, {
    file: 'web.yaml',
    line: 2,
    column: 9,
    lengthCount: 8,
  })
  const [exec, connect, syscall, memory] = policy.rules
  assert.ok(exec?.kind === 'exec' && connect?.kind === 'connect' && syscall?.kind === 'syscall')
  assert.deepEqual(
    {
      ...exec,
      allow: exec.allow?.map(({ text }) => text),
      deny: exec.deny.map(({ text }) => text),
    },
    {
      kind: 'exec',
      name: 'only the server runs',
      policy: 'web-tier',
      description: '',
      exceptions: [],
      priority: 'critical',
      tags: ['pci', 'web'],
      action: 'kill',
      setup: true,
      enabled: true,
      allow: ['/usr/sbin/nginx', '/bin/sh'],
      deny: ['**/nc'],
      span: { file: 'web.yaml', line: 7, column: 11, lengthCount: 20 },
    },
  )
  assert.equal(connect.enabled, false)
  assert.equal(connect.action, 'deny')
  const brief = ({ portFrom, portTo, proto, prefixBits }: (typeof connect.deny)[number]) => ({
    portFrom,
    portTo,
    proto,
    prefixBits,
  })
  assert.deepEqual(connect.deny.map(brief), [
    { portFrom: 80, portTo: 80, proto: 'any', prefixBits: 0 },
    { portFrom: 443, portTo: 443, proto: 'udp', prefixBits: 32 },
  ])
  assert.deepEqual(connect.allow?.map(brief), [
    { portFrom: 0, portTo: 65535, proto: 'any', prefixBits: 104 },
    { portFrom: 8000, portTo: 8999, proto: 'tcp', prefixBits: 128 },
  ])
  assert.deepEqual([...syscall.deny], [syscallNumber('ptrace'), syscallNumber('mount')])
  assert.equal(syscall.allow, undefined)
  assert.equal(syscall.priority, 'warning')
  assert.equal(syscall.action, 'alert')
  assert.ok(memory?.kind === 'memory')
  assert.deepEqual([memory.maxBytes, memory.forMs], [512 * 2 ** 20, 10_000])
})

test('several documents in a file are several policies, and observe is the default mode', () => {
  const one = (name: string) => `policy: ${name}\ncontainers: all\nrules:\n  - rule: r\n    exec: { deny: nc }\n`
  const result = load(['a.yaml', `${one('a')}---\n${one('b')}...\n---\n`])
  assert.deepEqual(
    result.policies.map(({ name, mode }) => [name, mode]),
    [
      ['a', 'observe'],
      ['b', 'observe'],
    ],
  )
  assert.deepEqual(result.policies[0]?.containers, {})
})

test('a file with any error is refused whole, the others load, and the result says so', () => {
  const good = 'policy: a\ncontainers: all\nrules:\n  - rule: r\n    exec: { deny: nc }\n'
  const half = `${good.replace('policy: a', 'policy: b')}---\npolicy: c\n`
  const result = load(['half.yaml', half], ['good.yaml', good])
  assert.deepEqual(
    result.policies.map(({ name }) => name),
    ['a'],
  )
  assert.deepEqual(result.refusedFiles, ['half.yaml'])
  assert.equal(result.errorCount, 2)
})

test('a policy name taken by another accepted file is refused, and a refused file takes no name', () => {
  const text = 'policy: a\ncontainers: all\nrules:\n  - rule: r\n    exec: { deny: nc }\n'
  const result = load(['bad.yaml', `${text}oops: 1\n`], ['one.yaml', text], ['two.yaml', text])
  assert.deepEqual(result.refusedFiles, ['bad.yaml', 'two.yaml'])
  assert.deepEqual(codes(result), ['HG3006', 'HG3010'])
  assert.equal(result.diagnostics[1]?.help, 'first in one.yaml:1')
  assert.equal(result.diagnostics[1]?.policy, 'a')
})

test('an anchor may be used again, and an alias that means nothing says that it needs quotes', () => {
  const text =
    'policy: a\ncontainers: all\nrules:\n  - rule: r\n    exec: { deny: &tools [nc, ncat] }\n  - rule: s\n    exec: { deny: *tools }\n'
  const result = load(['a.yaml', text])
  assert.equal(renderDiagnostics(result), '')
  const last = result.policies[0]?.rules[1]
  assert.ok(last?.kind === 'exec')
  assert.deepEqual(
    last.deny.map(({ text: path }) => path),
    ['**/nc', '**/ncat'],
  )
})

test('what YAML says of a quote that is closed far away holds no more of the file than can be read', () => {
  const result = load(['a.yaml', `policy: [a\nb: 'x' } '${'long '.repeat(300)}'\n`])
  assert.ok(result.errorCount > 0)
  assert.ok(result.diagnostics.some(({ message }) => message.endsWith('…')))
  for (const { message } of result.diagnostics) assert.ok(message.length <= 201, message)
})

test('diagnostics name the policy and rule they stand in', () => {
  const result = load(['a.yaml', 'policy: p\ncontainers: all\nrules:\n  - rule: r\n    exec: { deny: a/b }\n'])
  assert.deepEqual(
    result.diagnostics.map(({ policy, rule, span }) => [policy, rule, span.line, span.column]),
    [['p', 'r', 5, 19]],
  )
})

test('diagnostics stop at the bound, the rest is counted, and the file is refused for errors nobody sees', () => {
  const rules = Array.from({ length: 300 }, (_, index) => `  - rule: r${index}\n    exec: { deny: a/b }\n`)
  const one = `policy: p\ncontainers: all\nrules:\n${rules.join('')}`
  const result = load(['a.yaml', one], ['b.yaml', 'policy: q\n'])
  assert.equal(result.diagnostics.length, DIAGNOSTICS_MAX_COUNT)
  assert.equal(result.omittedCount, 300 - DIAGNOSTICS_MAX_COUNT + 2)
  assert.equal(result.errorCount, 302)
  assert.deepEqual(result.refusedFiles, ['a.yaml', 'b.yaml'])
  assert.match(renderDiagnostics(result), /and 202 more, not shown\n$/)
})

test('binary junk, control characters, UTF-16 and an oversized file are clear errors', () => {
  const junk = Uint8Array.from({ length: 5000 }, (_, index) => (index * 197 + 13) % 256)
  const utf16 = Uint8Array.from(Buffer.from('\ufeffpolicy: a\n', 'utf16le'))
  const result = load(
    ['junk', junk],
    ['escape', 'policy: a\x1b[2J\n'],
    ['utf16', utf16],
    ['big', new Uint8Array(10_000_000).fill(0x20)],
    ['nothing', ''],
    ['comment', '# policy\n'],
  )
  assert.deepEqual(codes(result), ['HG3003', 'HG3003', 'HG3003', 'HG3002', 'HG3018', 'HG3018'])
  assert.equal(result.diagnostics[3]?.message, 'the file has 10000000 bytes, more than 1048576')
  assert.equal(result.refusedFiles.length, 6)
  assert.ok(!renderDiagnostics(result).includes('\x1b'))
})

test('a byte order mark and carriage returns do no harm', () => {
  const result = load([
    'a.yaml',
    '\ufeffpolicy: a\r\ncontainers: all\r\nrules:\r\n  - rule: r\r\n    exec: { deny: nc }\r\n',
  ])
  assert.equal(renderDiagnostics(result), '')
  assert.equal(result.policies[0]?.span.column, 9)
})

test('deep nesting, alias bombs and floods of tokens, documents and keys end at a bound', () => {
  const bomb = Array.from(
    { length: 200 },
    (_, at) => `k${at}: ${at === 0 ? '&a0 x' : `&a${at} [*a${at - 1}, *a${at - 1}]`}`,
  )
  const result = load(
    ['flow', '['.repeat(500_000)],
    ['map', '{'.repeat(1_000_000)],
    ['block', '- '.repeat(400_000)],
    ['bomb', bomb.join('\n')],
    ['tokens', '[]'.repeat(500_000)],
    ['documents', '---\na\n'.repeat(2000)],
    ['keys', Array.from({ length: 60_000 }, (_, at) => `k${at}: 1\n`).join('')],
  )
  assert.deepEqual([...result.refusedFiles], ['flow', 'map', 'block', 'bomb', 'tokens', 'documents', 'keys'])
  assert.deepEqual(new Set(codes(result).slice(0, 5)), new Set(['HG3019']))
  assert.deepEqual(result.policies, [])
})

test('a Falco file among the policies is refused with the option that takes it', () => {
  const falco = '- required_engine_version: 0.57.0\n- rule: a\n  condition: evt.type = execve\n'
  const loaded = loadPolicies([{ file: 'falco.yaml', bytes: new TextEncoder().encode(falco) }])
  assert.deepEqual(
    loaded.diagnostics.map(({ code, help }) => [code, help]),
    [[ERRORS.policy_wrong_type.code, 'a file of Falco rules is given with `--rules`']],
  )
})
