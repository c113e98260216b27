/** Falco rule files: names, appends, overrides, exceptions, places, and the known defects done right. Repeat a failure with FC_SEED=…. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { loadFalcoRules } from '../../src/policy/falco/load.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'
import { holds, lines, loadTexts, ruleText } from '../support/falco-files.js'
import { seedOf } from '../support/seed.js'

const EXEC = 'evt.type = execve and'

function errors(...texts: string[]): string[] {
  return lines(loadTexts(...texts), 'error')
}

test('a list stands for its values, lists of lists to any depth', () => {
  const lists = `
- list: c
  items: [bash, '"a b"']
- list: b
  items: [c, ksh]
- list: a
  items: [b, a, later]
- list: later
  items: [zsh]
`
  const result = loadTexts(lists + ruleText(`${EXEC} proc.name in (a, own)`))
  assert.deepEqual(lines(result, 'error'), [])
  const isIn = (name: string) => holds(result, 'r', { 'evt.type': 'execve', 'proc.name': name })
  // a list's own name, a later list's name and the name of no list are values
  for (const name of ['bash', 'a b', 'ksh', 'a', 'later', 'own']) assert.ok(isIn(name), name)
  for (const name of ['b', 'c', 'zsh', '"a b"']) assert.ok(!isIn(name), name)
})

test('the name of a list within a quoted value or another word is left alone', () => {
  const result = loadTexts(`
- list: shells
  items: [sh, bash]
${ruleText(`${EXEC} proc.cmdline contains "run shells now" and proc.name in ("shells")`)}`)
  assert.ok(holds(result, 'r', { 'evt.type': 'execve', 'proc.cmdline': 'run shells now', 'proc.name': 'shells' }))
  assert.ok(!holds(result, 'r', { 'evt.type': 'execve', 'proc.cmdline': 'run sh, bash now', 'proc.name': 'shells' }))
})

test('several globs of one pmatch each count', () => {
  const result = loadTexts(ruleText(`${EXEC} proc.exepath pmatch (/opt/*/a, /opt/d*/b)`))
  for (const path of ['/opt/dir/a', '/opt/dir/b'])
    assert.ok(holds(result, 'r', { 'evt.type': 'execve', 'proc.exepath': path }), path)
})

test('every network of a list counts', () => {
  const result = loadTexts(ruleText('evt.type = connect and fd.snet in (10.0.0.0/8, 192.168.0.0/16)'))
  for (const [ip, expected] of [
    ['10.1.1.1', true],
    ['192.168.1.1', true],
    ['8.8.8.8', false],
  ] as const)
    assert.equal(holds(result, 'r', { 'evt.type': 'connect', 'fd.snet': ip }), expected, ip)
})

test('a macro may be defined after the rule and replaced by a later file, and not name itself', () => {
  const base = `- macro: m\n  condition: (proc.name = a and extra)\n${ruleText(`${EXEC} m`)}`
  const extra = (name: string) => `- macro: extra\n  condition: proc.exe = ${name}\n`
  const fields = { 'evt.type': 'execve', 'proc.name': 'a', 'proc.exe': 'y' }
  assert.ok(!holds(loadTexts(base, extra('x')), 'r', fields))
  assert.ok(holds(loadTexts(base, extra('x'), extra('y')), 'r', fields))
  assert.match(
    errors(base, '- macro: extra\n  condition: not m\n').join('\n'),
    /HG3304 the macro `m` is a part of itself/,
  )
})

test('appended text joins the condition as text, with its own places', () => {
  const more = (key: string) => `- rule: r\n  condition: and not proc.nmae = b\n  ${key}\n`
  const base = ruleText(`${EXEC} proc.name = a or proc.name = b`)
  for (const key of ['append: true', 'override: {condition: append}']) {
    const result = loadTexts(base, more(key))
    const [row] = result.diagnostics
    assert.deepEqual([row?.span.file, row?.span.line, row?.span.column, row?.rule], ['2.yaml', 2, 22, 'r'])
    const good = loadTexts(base, more(key).replace('nmae', 'pname'))
    assert.deepEqual(lines(good, 'error'), [])
    assert.ok(holds(good, 'r', { 'evt.type': 'execve', 'proc.name': 'a' }))
    // `and` binds stronger: the appended part belongs to the second half
    assert.ok(!holds(good, 'r', { 'evt.type': 'x', 'proc.name': 'b', 'proc.pname': 'b' }))
  }
})

test('override replaces and appends what it names, enabled alone switches', () => {
  const result = loadTexts(
    `- list: l\n  items: [a]\n${ruleText(`${EXEC} proc.name in (l)`, '  tags: [one]\n')}`,
    `
- list: l
  items: [b]
  override: {items: append}
- rule: r
  priority: ERROR
  tags: [two]
  output: "%proc.name"
  override: {priority: replace, tags: append, output: append}
- rule: r
  enabled: false
`,
  )
  assert.deepEqual(lines(result, 'error'), [])
  const [rule] = result.rules
  assert.deepEqual(
    [rule?.priority, rule?.tags, rule?.output, rule?.enabled],
    ['error', ['one', 'two'], 'o %proc.name', false],
  )
  assert.ok(holds(result, 'r', { 'evt.type': 'execve', 'proc.name': 'b' }))
})

test('changes that cannot be made are refused, and the rule with them', () => {
  const cases: [change: string, message: RegExp][] = [
    ['  priority: ERROR\n  override: {priority: append}', /can be replaced, not appended to/],
    ['  override: {condition: replace}', /is overridden but not given/],
    ['  condition: a\n  desc: d\n  override: {condition: replace}', /stands beside `override` but is not in it/],
    ['  condition: a\n  append: true\n  override: {condition: append}', /do not go together/],
    ['  conditon: a\n  override: {conditon: append}', /cannot be overridden/],
  ]
  for (const [change, message] of cases) {
    const result = loadTexts(ruleText(`${EXEC} proc.name = a`), `- rule: r\n${change}\n`)
    assert.match(lines(result, 'error').join('\n'), message)
    assert.deepEqual(result.refused, ['r'])
  }
  assert.match(errors('- rule: r\n  enabled: false\n').join(), /HG3312 there is no rule `r` to change/)
})

test('exceptions are ways out, with lists, comparisons and appended values', () => {
  const base = ruleText(
    `${EXEC} proc.exe exists`,
    `  exceptions:
    - name: pairs
      fields: [proc.name, proc.exepath]
      comps: [=, startswith]
      values:
        - [apt, /usr/]
    - {name: names, fields: proc.name, values: [x, '"y z"']}
    - {name: sets, fields: [proc.pname], comps: [in], values: [[[p, q]]]}
`,
  )
  const more = '- rule: r\n  append: true\n  exceptions:\n    - {name: pairs, values: [[dpkg, /var/]]}\n'
  const result = loadTexts(base, more)
  assert.deepEqual(lines(result, 'error'), [])
  const hits = (fields: Record<string, string>) =>
    holds(result, 'r', { 'evt.type': 'execve', 'proc.exe': 'e', ...fields })
  assert.ok(hits({ 'proc.name': 'apt', 'proc.exepath': '/tmp/apt' }))
  assert.ok(!hits({ 'proc.name': 'apt', 'proc.exepath': '/usr/bin/apt' }))
  assert.ok(!hits({ 'proc.name': 'dpkg', 'proc.exepath': '/var/x' }))
  assert.ok(!hits({ 'proc.name': 'y z' }))
  assert.ok(!hits({ 'proc.pname': 'q' }))
  const wrong = base.replace('[apt, /usr/]', '[apt]')
  assert.match(errors(wrong).join(), /HG3313 an entry of `values` has 1 values for 2 fields/)
})

test('places are right in every style of YAML text', () => {
  const styles: [text: string, line: number, column: number][] = [
    [ruleText(`${EXEC} proc.nmae = x`), 3, 36],
    [ruleText(`"evt.type = \\"execve\\" and proc.nmae = x"`), 3, 41],
    [ruleText(`'evt.type = ''execve'' and proc.nmae = x'`), 3, 41],
    [ruleText(`>-  # folded\n    evt.type = execve\n\n    and\n      proc.nmae = x`), 7, 7],
    [ruleText(`|\n    evt.type = execve\n    and proc.nmae = x`), 5, 9],
    [ruleText(`evt.type = execve\n    and proc.nmae = x`), 4, 9],
    [ruleText(`evt.type = execve and proc.exe = \u{1f980} and proc.nmae = x`), 3, 53],
  ]
  for (const [text, line, column] of styles)
    assert.deepEqual(errors(text), [`${line}:${column} HG3302 there is no field \`proc.nmae\``], text)
})

test('a mistake is shown with its source line and caret', () => {
  assert.equal(
    renderDiagnostics(loadTexts(ruleText(`>\n    evt.type = execve\n    and proc.nmae = x`))),
    `1.yaml:5:9: error HG3302: there is no field \`proc.nmae\`
  5 |     and proc.nmae = x
    |         ^^^^^^^^^
    = help: did you mean \`proc.name\`?
`,
  )
})

test('what can never match needs none of its fields, what is absent by nature compares false', () => {
  assert.deepEqual(errors(ruleText(`${EXEC} (evt.num = 0 and proc.tty = 1 or proc.name = a)`)), [])
  assert.deepEqual(errors(ruleText('evt.type in (execve, connect) and (fd.sport = 22 or proc.name = a)')), [])
  const missing = errors(ruleText('evt.type in (execve, getpid) and not proc.is_exe_writable = true'))
  const message = 'the probes do not yield the event type `getpid` and the field `proc.is_exe_writable` yet'
  assert.deepEqual(missing, [`3:51 HG3305 ${message}`])
  assert.deepEqual(loadTexts(ruleText(`not evt.type != connect`)).rules[0]?.eventTypes, ['connect'])
  assert.match(lines(loadTexts(ruleText(`${EXEC} evt.num = 0`)), 'warning').join(), /can never hold/)
  assert.match(lines(loadTexts(ruleText('proc.name = a')), 'warning').join(), /names no `evt.type`/)
})

test('outputs are checked; what is known but not yielded is a warning', () => {
  assert.match(
    errors(ruleText(`${EXEC} proc.exe exists`).replace('output: o', 'output: "%proc.nmae"')).join(),
    /HG3302/,
  )
  const warned = loadTexts(
    ruleText(`${EXEC} proc.exe exists`).replace(
      'output: o',
      'output: "%proc.name. %proc.is_exe_writable %% %proc.aname[2]"',
    ),
  )
  assert.deepEqual(lines(warned, 'error'), [])
  assert.match(lines(warned, 'warning').join(), /shows `<NA>` for `proc.is_exe_writable`/)
})

test('other sources, versions and keys are told', () => {
  assert.match(
    errors(ruleText('ka.verb = get', '  source: k8s_audit\n')).join(),
    /HG3314 there is no event source `k8s_audit`/,
  )
  assert.match(errors('- required_engine_version: x\n').join(), /HG3311/)
  const result = loadTexts(
    '- required_engine_version: 0.99.0\n- required_engine_version: 26\n- required_plugin_versions: [{name: k8saudit, version: 1}]\n- marco: x\n',
  )
  assert.equal(lines(result, 'warning').length, 3)
  const skipped = loadTexts(ruleText(`${EXEC} ka.verb = get`, '  skip-if-unknown-filter: true\n'))
  assert.deepEqual([lines(skipped, 'error'), skipped.refused], [[], ['r']])
})

test('a broken rule or file leaves the others in force', () => {
  const result = loadTexts(
    `${ruleText('(')}${ruleText(`${EXEC} proc.name = a`).replace('rule: r', 'rule: s')}`,
    '- [',
    ruleText(EXEC).replace('rule: r', 'rule: t'),
  )
  assert.deepEqual(
    result.rules.map(({ name }) => name),
    ['s'],
  )
  assert.deepEqual(result.refused, ['r', 't'])
})

test('rules files are read in time that grows with their size alone', () => {
  const chain = Array.from(
    { length: 5000 },
    (_, at) => `- macro: m${at}\n  condition: m${at + 1} and m${at + 1}\n`,
  ).join('')
  assert.ok(errors(`${chain}- macro: m5000\n  condition: proc.name = a\n`).length > 0)
  const lists = Array.from({ length: 60 }, (_, at) => `- list: l${at + 1}\n  items: [l${at}, l${at}, x${at}]\n`).join(
    '',
  )
  assert.deepEqual(errors(`- list: l0\n  items: [a]\n${lists}${ruleText(`${EXEC} proc.name in (l60)`)}`), [])
  const appends = '- rule: r\n  append: true\n  condition: or proc.name = b\n'.repeat(5000)
  assert.deepEqual(errors(ruleText(`${EXEC} proc.name = a`), appends), [])
})

test('the loader answers any file', () => {
  const pieces = fc.constantFrom(
    '- rule: r\n',
    '- macro: m\n',
    '- list: l\n',
    '  condition: ',
    '  items: ',
    '  override: ',
    '  exceptions: ',
    '  output: ',
    '  desc: d\n',
    '  priority: INFO\n',
    '  append: true\n',
    '[',
    ']',
    '{name: e, fields: ',
    'values: ',
    ', ',
    'm and ',
    'not m',
    '(l)',
    'proc.name in ',
    '%',
    '>\n    ',
    '|\n    ',
    '"',
    "'",
    '\\x',
    '\n',
    '&a ',
    '*a',
    'a.b',
    '\u{1f980}',
  )
  const texts = fc.oneof(
    fc.array(pieces, { maxLength: 40 }).map((parts) => Buffer.from(parts.join(''))),
    fc.uint8Array({ maxLength: 200 }),
  )
  fc.assert(
    fc.property(texts, (bytes) => {
      const result = loadFalcoRules([{ file: 'fuzz.yaml', bytes }])
      for (const { span } of result.diagnostics) assert.ok(span.line >= 1 && span.column >= 1 && span.lengthCount >= 1)
      renderDiagnostics(result)
    }),
    seedOf(1500),
  )
})
