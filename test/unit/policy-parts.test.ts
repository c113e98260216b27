/** The small parts of the policy language: quantities, addresses, names, the rendering of diagnostics. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diagnosticOf } from '../../src/policy/diagnostics.js'
import { nearest } from '../../src/policy/nearest.js'
import { parseNetEntry } from '../../src/policy/net-pattern.js'
import { parsePathPattern } from '../../src/policy/path-pattern.js'
import { parseDurationMs, parseSizeBytes } from '../../src/policy/quantity.js'
import { renderDiagnostic } from '../../src/policy/render-diagnostics.js'
import { SourceText } from '../../src/policy/source-text.js'
import { nativeSyscall, syscallName, syscallNumber, X32_BIT } from '../../src/policy/syscalls.js'

test('sizes and durations are a number and a unit, exactly', () => {
  const sizes: [string, number | undefined][] = [
    ['1B', 1],
    ['1KB', 1000],
    ['1KiB', 1024],
    ['1.5MiB', 1.5 * 2 ** 20],
    ['2 GB', 2e9],
    ['1GiB', 2 ** 30],
    ['1', undefined],
    ['-1B', undefined],
    ['1kb', undefined],
    ['1TiB', undefined],
    ['999999999999999GiB', undefined],
    ['1e3B', undefined],
    ['', undefined],
  ]
  for (const [text, bytes] of sizes) assert.equal(parseSizeBytes(text), bytes, text)
  const durations: [string, number | undefined][] = [
    ['500ms', 500],
    ['10s', 10_000],
    ['5m', 300_000],
    ['24h', 86_400_000],
    ['0.5s', 500],
    ['1d', 86_400_000],
    ['10', undefined],
    ['s', undefined],
  ]
  for (const [text, ms] of durations) assert.equal(parseDurationMs(text), ms, text)
})

test('every form of a connect entry becomes its network, ports and protocol', () => {
  const mapped = '00000000000000000000ffff'
  const forms: [string, string, number, number, number, string][] = [
    ['*', '0'.repeat(32), 0, 0, 65535, 'any'],
    ['*:80', '0'.repeat(32), 0, 80, 80, 'any'],
    ['*:53/udp', '0'.repeat(32), 0, 53, 53, 'udp'],
    ['*/tcp', '0'.repeat(32), 0, 0, 65535, 'tcp'],
    ['0.0.0.0/0', `${mapped}00000000`, 96, 0, 65535, 'any'],
    ['10.0.0.0/8', `${mapped}0a000000`, 104, 0, 65535, 'any'],
    ['10.0.0.0/8:8000-8999/TCP', `${mapped}0a000000`, 104, 8000, 8999, 'tcp'],
    ['10.1.2.3:443', `${mapped}0a010203`, 128, 443, 443, 'any'],
    ['::', '0'.repeat(32), 128, 0, 65535, 'any'],
    ['::1', `${'0'.repeat(31)}1`, 128, 0, 65535, 'any'],
    ['2001:db8::1', '20010db8000000000000000000000001', 128, 0, 65535, 'any'],
    ['2001:db8::/32', `20010db8${'0'.repeat(24)}`, 32, 0, 65535, 'any'],
    ['[2001:db8::/32]:443', `20010db8${'0'.repeat(24)}`, 32, 443, 443, 'any'],
    ['[2001:db8::]/32:443', `20010db8${'0'.repeat(24)}`, 32, 443, 443, 'any'],
    ['[2001:db8::1]', '20010db8000000000000000000000001', 128, 0, 65535, 'any'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008', 128, 0, 65535, 'any'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000', 128, 0, 65535, 'any'],
    ['::ffff:10.1.2.3', `${mapped}0a010203`, 128, 0, 65535, 'any'],
    ['::ffff:255.255.255.255', `${mapped}ffffffff`, 128, 0, 65535, 'any'],
  ]
  for (const [text, network, prefixBits, portFrom, portTo, proto] of forms) {
    const parsed = parseNetEntry(text)
    assert.ok(parsed.ok, text)
    const { net } = parsed
    assert.deepEqual(
      [Buffer.from(net.network).toString('hex'), net.prefixBits, net.portFrom, net.portTo, net.proto],
      [network, prefixBits, portFrom, portTo, proto],
      text,
    )
  }
})

test('an IPv6 network around the IPv4-mapped range does not mean IPv4; `*` and the range itself do', () => {
  const ipv6Only = (text: string) => {
    const parsed = parseNetEntry(text)
    assert.ok(parsed.ok, text)
    return parsed.net.ipv6Only
  }
  assert.deepEqual(['::/0', '::/1', '::/80', '::/64'].map(ipv6Only), [true, true, true, true])
  assert.deepEqual(['*', '::ffff:0:0/96', '0.0.0.0/0', '8000::/1', '::/96', '::'].map(ipv6Only), [
    false,
    false,
    false,
    false,
    false,
    false,
  ])
})

test('a path of 4096 bytes is a pattern, a longer one and one with a NUL are not', () => {
  const folder = `/${'a'.repeat(255)}`
  assert.ok(parsePathPattern(folder.repeat(16)).ok)
  assert.ok(!parsePathPattern(`${folder.repeat(16)}/b`).ok)
  assert.ok(!parsePathPattern(`/${'a'.repeat(256)}`).ok)
  assert.ok(!parsePathPattern('/a\0b').ok)
  assert.ok(!parsePathPattern(`/a${'/**/a'.repeat(9)}`).ok)
  assert.ok(!parsePathPattern('/a\\').ok)
})

test('the nearest name is near: swapped, missing and extra letters, not another word', () => {
  assert.equal(nearest('exce', ['exec', 'connect']), 'exec')
  assert.equal(nearest('conect', ['exec', 'connect']), 'connect')
  assert.equal(nearest('Rules', ['rules']), 'rules')
  assert.equal(nearest('banana', ['exec', 'connect']), undefined)
  assert.equal(nearest('x'.repeat(10_000), ['exec']), undefined)
})

test('system calls: names and numbers of three ABIs, holes and unknown numbers', () => {
  assert.equal(syscallNumber('execve'), 59)
  assert.equal(syscallNumber('nothing'), undefined)
  assert.equal(syscallName(11, 1), 'execve')
  assert.equal(nativeSyscall(11, 1), 59)
  assert.equal(syscallName(520, 2), 'execve')
  assert.equal(nativeSyscall(520 | X32_BIT, 2), 59)
  assert.equal(nativeSyscall(0, 2), 0)
  assert.equal(nativeSyscall(102, 1), -1, 'socketcall has no native call of its name')
  assert.equal(syscallName(9999, 0), 'syscall_9999')
  assert.equal(nativeSyscall(9999, 1), -1)
  assert.equal(nativeSyscall(1, 7), -1)
})

test('a caret stands under its place, with tabs, wide and combining characters before it', () => {
  const line = '\tk: "漢字 e\u0301" bad'
  const source = new SourceText('a.yaml', `first\n${line}\n`)
  const start = 6 + line.indexOf('bad')
  const diagnostic = diagnosticOf('policy_bad_value', 'error', source.span(start, start + 3), 'message', 'help')
  assert.equal(
    renderDiagnostic(diagnostic, source),
    `a.yaml:2:${[...line].indexOf('b') + 1}: error HG3009: message\n  2 |     k: "漢字 e\u0301" bad\n    | ${' '.repeat(16)}^^^\n    = help: help\n`,
  )
})

test('terminal escapes, bidirectional overrides and line separators of source and file name are made visible', () => {
  const source = new SourceText('evil\x1b[31m.yaml', 'a: "\u202e\u200b\u2028\x9b31m" x')
  const diagnostic = diagnosticOf('policy_bad_value', 'error', source.span(13, 14), 'was `\x07`')
  const text = renderDiagnostic(diagnostic, source)
  assert.equal(
    text,
    'evil\\u{1b}[31m.yaml:1:14: error HG3009: was `\\u{7}`\n' +
      '  1 | a: "\\u{202e}\\u{200b}\\u{2028}\\u{9b}31m" x\n' +
      `    | ${' '.repeat(39)}^\n`,
  )
})

test('a very long line is shown around the place only', () => {
  const line = `${'a'.repeat(100_000)}BAD${'b'.repeat(100_000)}`
  const source = new SourceText('a.yaml', line)
  const text = renderDiagnostic(diagnosticOf('policy_bad_value', 'error', source.span(100_000, 100_003), 'm'), source)
  const [, shown = '', caret = ''] = text.split('\n')
  assert.ok(shown.length < 130)
  assert.equal(shown.slice(caret.indexOf('^'), caret.lastIndexOf('^') + 1), 'BAD')
})
