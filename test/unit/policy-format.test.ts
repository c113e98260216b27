/** `policy fmt`: one form, the same meaning, every comment. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { parse } from 'yaml'
import { formatPolicyFile } from '../../src/policy/format.js'
import { renderDiagnostics } from '../../src/policy/render-diagnostics.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { hullguard } from '../support/hullguard.js'
import { makeTempDir, removeDir } from '../support/process.js'
import { seedOf } from '../support/seed.js'

const root = findPackageRoot()

function format(text: string) {
  const result = formatPolicyFile({ file: 'p.yaml', bytes: new TextEncoder().encode(text) })
  return { text: result.text, said: renderDiagnostics(result) }
}

const UNORDERED = `# head of the file

# of the rules
rules:
    # first rule
    - action:   kill     # why kill
      exec:  {deny: [nc,   ncat], allow: [/usr/sbin/nginx]}
      rule: "no netcat"

    - connect:
        deny: # everywhere
          - "*:80"   # plain text
          # and this
          - port: 1-9
            to: 10.0.0.0/8
      rule: no web
      tags: [T1572, T1090, "pci-dss:11.5.1", pci-dss:11.5.1.1, glba:314.4(d)(1), hipaa:164.312(b), soc2:CC6.6, "soc2: a, b"]
containers: { image: "shop/*" }
mystery: 1
policy: web # its name
# the end
---
# second document
macros: { b: evt.type = execve, a: fd.num = 1 }
lists:
  z: [1, 2]
`

const ORDERED = `# head of the file

policy: web # its name
containers: { image: "shop/*" }
# of the rules
rules:
  # first rule
  - rule: "no netcat"
    exec: { allow: [/usr/sbin/nginx], deny: [nc, ncat] }
    action: kill # why kill

  - rule: no web
    connect:
      deny:
        # everywhere
        - "*:80" # plain text
        # and this
        - to: 10.0.0.0/8
          port: 1-9
    tags:
      [
        T1572, T1090, "pci-dss:11.5.1", pci-dss:11.5.1.1, glba:314.4(d)(1), hipaa:164.312(b), soc2:CC6.6, "soc2: a, b"
      ]
mystery: 1

# the end
---
# second document
lists:
  z: [1, 2]
macros: { b: evt.type = execve, a: fd.num = 1 }
`

test('keys come in order, comments stay with what they are of, lists fill their lines', () => {
  const { text, said } = format(UNORDERED)
  assert.equal(said, '')
  assert.equal(text, ORDERED)
})

test('a mapping in braces that does not fit becomes a block; one that fits stays', () => {
  const long = 'x'.repeat(100)
  const { text } = format(
    `policy: p\ntests:\n  - { expect: none, event: { process: { exe: /bin/sh, args: [sh, ${long}] }, exec: { path: /bin/sh } } }\n`,
  )
  assert.equal(
    text,
    `policy: p
tests:
  - event:
      exec: { path: /bin/sh }
      process:
        exe: /bin/sh
        args: [sh, ${long}]
    expect: none
`,
  )
})

test('an alias never comes before its anchor: then no key is moved', () => {
  const { text } = format('rules:\n- {exec: {deny: &d [nc]}, rule: a}\n- {rule: b, exec: {deny: *d}}\npolicy: p\n')
  assert.equal(
    text,
    'rules:\n  - { exec: { deny: &d [nc] }, rule: a }\n  - { rule: b, exec: { deny: *d } }\npolicy: p\n',
  )
})

test('what is no policy, or not YAML, is refused with its place', () => {
  for (const text of ['- rule: r\n', 'text\n', '', 'a: [\n', 'a: b: c\n', 'a: \0\n'])
    assert.deepEqual([format(text).text, /^p.yaml:\d+:\d+: error HG3\d+: /.test(format(text).said)], [undefined, true])
})

function policiesOfTheHouse(): string[] {
  const read = (folder: string) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => readFileSync(join(root, folder, name), 'utf8'))
  const cases = read('test/conformance/policy').map((text) => {
    const { policy }: { policy: string } = parse(text)
    return policy
  })
  return [...read('policies'), ...read('policies/standard'), ...cases]
}

test('a formatted file is in its form: formatted again it is the same', () => {
  let count = 0
  for (const policy of policiesOfTheHouse()) {
    const { text } = format(policy)
    if (text === undefined) continue
    count++
    assert.equal(format(text).text, text)
  }
  assert.ok(count >= 30, `${count} policies`)
})

test('what ships is in its form', () => {
  for (const folder of ['policies', 'policies/standard'])
    for (const name of readdirSync(join(root, folder)).filter((each) => each.endsWith('.yaml'))) {
      const text = readFileSync(join(root, folder, name), 'utf8')
      assert.equal(format(text).text, text, `bin/hullguard policy fmt --write ${folder}/${name}`)
    }
})

test('any edit of a policy is refused or keeps its form: no crash, and the second time nothing changes', () => {
  const pieces = [
    '\n',
    ' ',
    '- ',
    '# c\n',
    '[',
    ']',
    '{',
    '}',
    ',',
    ': ',
    '"',
    "'",
    '&a ',
    '*a',
    '|\n',
    '>-\n',
    '---\n',
    'é',
  ]
  const edit = fc.tuple(
    fc.integer({ min: 0, max: UNORDERED.length }),
    fc.integer({ min: 0, max: 20 }),
    fc.oneof(
      fc.constantFrom(...pieces),
      fc.integer({ min: 0, max: UNORDERED.length - 30 }).map((at) => UNORDERED.slice(at, at + 30)),
    ),
  )
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
      let text = UNORDERED
      for (const [at, cut, piece] of edits) text = text.slice(0, at) + piece + text.slice(at + cut)
      const once = format(text)
      assert.equal(once.text === undefined, once.said !== '')
      if (once.text !== undefined) assert.equal(format(once.text).text, once.text)
    }),
    seedOf(1000),
  )
})

let folder = ''
before(() => {
  folder = makeTempDir('policy-fmt')
})
after(() => removeDir(folder))

test('--check names what is in another form and ends with 1; --write writes it over, whole, with its mode', async () => {
  const file = join(folder, 'web.yaml')
  writeFileSync(file, UNORDERED, { mode: 0o640 })
  const printed = await hullguard(['policy', 'fmt', file])
  assert.deepEqual([printed.code, printed.stdout], [0, ORDERED])
  const checked = await hullguard(['policy', 'fmt', '--check', folder])
  assert.deepEqual([checked.code, checked.stdout], [1, `${file} is in another form\n`])
  assert.equal(readFileSync(file, 'utf8'), UNORDERED)
  const written = await hullguard(['policy', 'fmt', '--write', file])
  assert.deepEqual([written.code, written.stdout], [0, `${file} written\n`])
  assert.equal(readFileSync(file, 'utf8'), ORDERED)
  assert.equal(statSync(file).mode & 0o777, 0o640)
  assert.deepEqual(readdirSync(folder), ['web.yaml'])
  const again = await hullguard(['policy', 'fmt', '--check', file])
  assert.deepEqual([again.code, again.stdout], [0, ''])
  assert.equal((await hullguard(['policy', 'fmt', '--check', '--write', file])).code, 2)
})
