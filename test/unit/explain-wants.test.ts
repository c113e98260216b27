/** `policy explain`: which acts the kernel reports because of a rule, and why all of them where it does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wantedOfRule } from '../../src/cli/explain-wants.js'
import { compileProgram } from '../../src/match/program.js'
import { loadPolicies } from '../../src/policy/load.js'
import type { Accounts } from '../../src/respond/lower-said.js'

const HOST_ACCOUNTS: Accounts = { uidsOf: (name) => ({ root: [0], web: [33, 34] })[name] ?? [], gidsOf: () => [] }

function linesOf(body: string, accounts?: Accounts): string[] {
  const text = `policy: p\ncontainers: all\nrules:\n  - rule: r\n    ${body}\n`
  const { policies, errorCount } = loadPolicies([{ file: 'p.yaml', bytes: new TextEncoder().encode(text) }])
  assert.equal(errorCount, 0, text)
  const rule = compileProgram(policies).rules[0]
  assert.ok(rule)
  return wantedOfRule(rule, accounts).map((line) => line.replace(/^the kernel reports /, ''))
}
const when = (condition: string, accounts?: Accounts) => linesOf(`condition: ${JSON.stringify(condition)}`, accounts)

test('acts on files: what is done, where, and where not', () => {
  assert.deepEqual(linesOf('file: { deny: [{ path: "/etc/**", access: [write, delete] }] }'), [
    'opens for writing, unlink, rmdir, truncate of paths that begin with /etc',
  ])
  assert.deepEqual(linesOf('file: { allow: [{ path: "/srv/**", access: [read] }] }'), [
    'opens for reading of every path, but none of those with /srv/',
  ])
  assert.deepEqual(when('evt.type = rename and (evt.arg.oldpath startswith /a or evt.arg.newpath = /b)'), [
    'rename of paths that begin with /a, /b',
  ])
  assert.deepEqual(when('evt.type in (open, openat) and fd.name startswith /etc and not fd.name startswith /etc/x'), [
    'opens of paths that begin with /etc, but none of those with /etc/x',
  ])
})

test('why every path: nothing says how it begins', () => {
  assert.deepEqual(linesOf('file: { deny: [{ path: "**/id_rsa", access: [read] }] }'), [
    'opens for reading of every path for it: it does not come down to how a path begins',
  ])
  assert.deepEqual(linesOf('file: { deny: [{ path: "**/id_rsa", access: [read] }, { path: /a, access: [read] }] }'), [
    'opens for reading of every path for it: some of it names no place, or it names too many',
  ])
})

test('acts on sockets, and acts that are filtered by the container alone', () => {
  assert.deepEqual(linesOf('listen: { allow: [8080] }'), ['listen by the addresses and ports that it is about'])
  assert.deepEqual(when('evt.type in (sendto, bind) and fd.rport = 53'), [
    'bind, send by the addresses and ports that it is about',
  ])
  assert.deepEqual(when('evt.type = dup2 and fd.type in ("ipv4", "ipv6")'), ['dup of sockets of IPv4 and IPv6 only'])
  assert.deepEqual(when('evt.type = bind and proc.name = x'), [
    'every bind for it: it does not come down to addresses, ports or kinds of sockets',
  ])
  assert.deepEqual(when('evt.type = ptrace'), ['every ptrace of its containers for it'])
  assert.deepEqual(when('evt.type = execve and proc.name = x'), [])
  assert.deepEqual(linesOf('connect: { deny: ["*:80"] }'), [])
})

test('whose acts are left out, by number and by name', () => {
  const every = 'every ptrace of its containers for it'
  const leavesOut = (users: string, kinds = 'ptrace') => `the kernel leaves out ${kinds} by other users than ${users}`
  assert.deepEqual(when('evt.type = ptrace and user.uid = 0'), [every, leavesOut('0')])
  assert.deepEqual(when('evt.type = ptrace and user.uid != 7'), [every, leavesOut('0 to 6, 8 and above')])
  assert.deepEqual(when('evt.type in (chmod, chown) and fd.name startswith /etc and user.uid >= 1000'), [
    'chmod, chown of paths that begin with /etc',
    leavesOut('1000 and above', 'chmod, chown'),
  ])
  const named = 'evt.type = ptrace and user.name in (root, web)'
  assert.deepEqual(when(named, HOST_ACCOUNTS), [every, leavesOut('0, 33 to 34')])
  assert.deepEqual(when(named), [
    every,
    'by the names of users in it the kernel leaves out acts where the host has those',
  ])
  assert.deepEqual(when('evt.type = ptrace and user.name = none-such', HOST_ACCOUNTS), [every])
  assert.deepEqual(linesOf('signal: { allow: [{ user: 0 }] }'), [
    'every signal of its containers for it',
    leavesOut('1 and above', 'signal'),
  ])
})
