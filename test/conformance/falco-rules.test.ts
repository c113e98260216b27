/** Falco's stable rules, unchanged: each is loaded, or refused for an event or field that is missing today. And the command that says so. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadFalcoRules } from '../../src/policy/falco/load.js'
import { EVENT_TYPES } from '../../src/record/fields/events.js'
import { FIELDS } from '../../src/record/fields/table.js'
import { ERRORS } from '../../src/telemetry/generated/errors.js'
import { makeTempDir } from '../support/process.js'
import { sharedFile } from '../support/shared-data.js'

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const stable = sharedFile('falco-rules/falco_rules.yaml')

const check = (...args: string[]) =>
  spawnSync(process.execPath, [main, 'policy', 'check', '--rules', ...args], { encoding: 'utf8' })

interface Checked {
  loaded: number
  refused: { rule: string; file: string; line: number; column: number; code: string; reason: string }[]
  warnings: { code: string }[]
}

test('of the 25 stable rules each is loaded or refused by name for what the probes lack', { skip: stable.skip }, () => {
  const { rules, refused, diagnostics } = loadFalcoRules([{ file: stable.path, bytes: readFileSync(stable.path) }])
  assert.equal(rules.length + refused.length, 25)
  const errors = diagnostics.filter(({ severity }) => severity === 'error')
  assert.deepEqual(errors.map(({ rule }) => rule).sort(), [...refused].sort())
  const lacked = new Set([...EVENT_TYPES.filter(({ kind }) => kind === undefined), ...FIELDS].map(({ name }) => name))
  for (const { code, message } of errors) {
    assert.equal(code, ERRORS.condition_not_yielded.code, message)
    const names = [...message.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? '')
    assert.ok(names.length > 0 && names.every((name) => lacked.has(name)), message)
  }
  assert.ok(rules.some(({ name }) => name === 'Netcat Remote Code Execution in Container'))
  for (const { eventTypes, name } of rules) assert.ok(eventTypes.length > 0, name)
})

test('policy check --rules: every stable rule is good', { skip: stable.skip }, () => {
  const { status, stdout } = check(stable.path, '--json')
  assert.equal(status, 0, stdout)
  const { loaded, refused, warnings } = JSON.parse(stdout) as Checked
  assert.deepEqual([loaded, refused], [25, []])
  assert.ok(warnings.length > 0)
  const text = check(stable.path)
  assert.equal(text.status, 0)
  assert.ok(text.stdout.includes('25 Falco rules are good, 0 are refused;'), text.stdout)
})

test('policy check --rules prints counts or JSON and answers 1 when a rule is refused', () => {
  const file = join(makeTempDir(), 'rules.yaml')
  const rule = (name: string, condition: string) =>
    `- rule: ${name}\n  desc: d\n  condition: evt.type = execve and ${condition}\n  output: o\n  priority: INFO\n`
  writeFileSync(file, rule('good', 'proc.name = a') + rule('lacking', 'proc.is_exe_writable = true'))
  const json = check(file, '--json')
  assert.equal(json.status, 1, json.stderr)
  const { loaded, refused } = JSON.parse(json.stdout) as Checked
  assert.equal(loaded, 1)
  assert.deepEqual(
    refused.map((row) => [Object.keys(row).sort(), row.file, row.rule, row.line]),
    [[['code', 'column', 'file', 'line', 'reason', 'rule'], file, 'lacking', 8]],
  )
  const text = check(file)
  assert.equal(text.status, 1)
  assert.ok(text.stdout.includes('1 Falco rule is good, 1 is refused;'), text.stdout)
})

test('hullguard fields lists every field and event type, and what is yielded', () => {
  const run = (...args: string[]) => execFileSync(process.execPath, [main, 'fields', ...args], { encoding: 'utf8' })
  const listed = JSON.parse(run('--json')) as {
    fields: { name: string; yielded_with: string[] }[]
    event_types: unknown[]
  }
  assert.deepEqual(
    listed.fields.map(({ name }) => name),
    FIELDS.map(({ name }) => name),
  )
  assert.equal(listed.event_types.length, EVENT_TYPES.length)
  assert.match(run(), /^proc\.aname\[…\]\? +string +- +all /m)
})

test('the registry names each field once, yields only what is carried, and covers the public rules', () => {
  assert.equal(new Set(FIELDS.map(({ name }) => name)).size, FIELDS.length)
  for (const { name, kinds, carriedBy } of FIELDS)
    assert.ok(
      kinds.every((kind) => carriedBy.includes(kind)),
      name,
    )
  const names = new Set(FIELDS.map(({ name }) => name))
  const inConditions =
    'evt.type proc.name evt.num container.id fd.typechar proc.cmdline fd.name proc.pname fd.num container.image.repository evt.is_open_write evt.rawres evt.res fd.directory proc.aname fd.net evt.is_open_read fd.ip proc.args proc.exe fd.l4proto fd.connected fd.name_changed k8s.ns.name fd.snet proc.vpid proc.pcmdline user.name fd.filename evt.arg.flags user.uid fd.sport evt.arg.path proc.tty evt.arg.oldpath container.privileged evt.arg.newpath fd.sip.name fd.type thread.cap_effective evt.arg.request thread.cap_permitted proc.env fd.sip evt.arg.name evt.arg.mode evt.arg.filename user.loginuid fd.nameraw proc.duration proc.pexe evt.arg.target evt.arg.domain proc.cwd proc.is_exe_upper_layer proc.exepath proc.is_exe_from_memfd fd.sockfamily fd.port evt.arg.uid proc.aexe fd.rnet evt.arg.cmd fd.cip.name fd.cip fd.cnet k8s.pod.name container.mount.dest evt.is_open_exec evt.buffer proc.is_vpgid_leader'.split(
      ' ',
    )
  const inOutputs =
    'evt.type proc.pname proc.name proc.cmdline user.uid user.name user.loginuid proc.tty proc.exepath fd.name proc.aname evt.arg.flags fd.type fd.rport fd.lport fd.l4proto proc.pcmdline proc.cwd evt.res evt.args evt.arg.newpath evt.arg.name evt.arg.mode evt.arg.filename user.loginname proc.sname proc.pexepath proc.env proc.args group.name group.gid fd.sip evt.arg.path evt.arg.oldpath container.start_ts thread.cap_permitted thread.cap_effective proc.pexe proc.exe_ino.mtime proc.exe_ino.ctime_duration_proc_start proc.exe_ino.ctime proc.exe proc.aexepath fd.sport fd.sip.name fd.rip.name fd.rip fd.nameraw fd.lip.name fd.cip.name evt.arg.uid evt.arg.target evt.arg.linkpath evt.arg.fd evt.arg.cmd container.mounts'.split(
      ' ',
    )
  assert.deepEqual([inConditions.length, inOutputs.length], [71, 56])
  for (const name of [...inConditions, ...inOutputs]) assert.ok(names.has(name), name)
})

test('docs/falco-rules.md lists every code of conditions and rules files, and no other', () => {
  const text = readFileSync(new URL('../../../docs/falco-rules.md', import.meta.url), 'utf8')
  const listed = [...text.matchAll(/^\| (HG\d+) \|/gm)].map(([, code]) => code)
  const codes = Object.entries(ERRORS).flatMap(([name, { code }]) => (/^(?:condition|falco)_/.test(name) ? [code] : []))
  assert.deepEqual(listed, codes)
})
