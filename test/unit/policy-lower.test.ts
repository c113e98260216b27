/** What is lowered into the kernel, what stays in user space and why, and what the masks say. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kindsOfActs } from '../../src/agent/rules/acts.js'
import { compileProgram } from '../../src/match/program.js'
import { loadPolicies } from '../../src/policy/load.js'
import { FILE_ACCESS } from '../../src/policy/model.js'
import { HOST_SYSCALLS } from '../../src/policy/syscalls.js'
import { HOST } from '../../src/record/model.js'
import {
  LOWERED_RULES_MAX_COUNT,
  type LoweredProfile,
  type LowerOptions,
  lowerProfile,
} from '../../src/respond/lower.js'
import { hooksOfCalls } from '../../src/respond/lower-syscall.js'
import { actBit } from '../../src/sensor/call-recipes.js'
import { SaidKind, SaidWhat, Want } from '../../src/sensor/generated/abi.js'
import { ALL_REFUSALS } from '../../src/sensor/refusals.js'

function lower(rules: string, options: Partial<LowerOptions> = {}): LoweredProfile {
  const text = `policy: p\ncontainers: all\nmode: block\nrules:\n${rules}`
  const { policies, errorCount } = loadPolicies([{ file: 'test.yaml', bytes: new TextEncoder().encode(text) }])
  assert.equal(errorCount, 0)
  const program = compileProgram(policies)
  const profile = program.profileFor({ ...HOST, state: 'container', id: 'c' })
  return lowerProfile(program, profile, {
    isBlockPolicy: () => true,
    ...options,
  })
}

function rule(name: string, body: string, more = ''): string {
  return `  - rule: ${name}\n    ${body}\n${more === '' ? '' : `    ${more}\n`}`
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

test('literal paths, folders and program names become exact, prefix and base entries', () => {
  const lowered = lower(
    rule('one', 'exec: { deny: [/bin/nc, "/opt/**", ncat] }') + rule('two', 'exec: { allow: ["/opt/a/**"] }'),
  )
  assert.deepEqual(
    lowered.execExact.map(({ path, decided, violated }) => [text(path), decided, violated]),
    [
      ['/bin/nc', 1n, 1n],
      ['/opt', 1n, 1n],
      ['/opt/a', 2n, 0n],
    ],
  )
  assert.deepEqual(
    lowered.execPrefix.map(({ dir, decided, violated }) => [text(dir), decided, violated]),
    [
      ['/opt/', 1n, 1n],
      ['/opt/a/', 3n, 1n],
    ],
  )
  assert.deepEqual(
    lowered.execBase.map(({ name, decided, violated }) => [text(name), decided, violated]),
    [['ncat', 1n, 1n]],
  )
  assert.deepEqual([lowered.execRules, lowered.execAllow], [3n, 2n])
  assert.deepEqual(lowered.notLowered, [])
})

test('globs, suffixes of several components, long paths and memory stay in user space, with the reason', () => {
  const long = `/${'a'.repeat(200)}/${'b'.repeat(60)}`
  const lowered = lower(
    rule('glob', 'exec: { deny: ["/bin/n*"] }') +
      rule('middle', 'exec: { deny: ["/a/**/b"] }') +
      rule('suffix', 'exec: { deny: ["**/bin/nc"] }') +
      rule('long', `exec: { deny: ["${long}"] }`) +
      rule('memory', 'memory: { max: 1MiB }') +
      rule('fine', 'exec: { deny: nc }'),
  )
  assert.deepEqual(lowered.ruleIds, [5])
  assert.deepEqual(
    lowered.notLowered.map(({ rule: id, reason }) => [id, reason]),
    [
      [0, "the kernel's maps hold literal paths, `DIR/**` and program names only, not `/bin/n*`"],
      [1, "the kernel's maps hold literal paths, `DIR/**` and program names only, not `/a/**/b`"],
      [2, "the kernel's maps hold literal paths, `DIR/**` and program names only, not `**/bin/nc`"],
      [3, 'an entry is longer than 239 bytes'],
      [4, 'memory is sampled, and compared in user space'],
    ],
  )
})

test('a path of 239 bytes is lowered, one of 240 is not', () => {
  const path = (bytes: number) => `/${'a'.repeat(200)}/${'b'.repeat(bytes - 202)}`
  const lowered = lower(
    rule('short', `exec: { deny: ["${path(239)}"] }`) + rule('long', `exec: { deny: ["${path(240)}"] }`),
  )
  assert.deepEqual(lowered.ruleIds, [0])
  assert.equal(lowered.execExact[0]?.path.length, 239)
})

test('actions are in the masks only where the policy blocks and the hook can act', () => {
  const rules =
    rule('kill', 'exec: { deny: nc }', 'action: kill') +
    rule('deny', 'connect: { deny: ["*:80"] }', 'action: deny') +
    rule('exec deny', 'exec: { deny: ls }', 'action: deny') +
    rule('calls', 'syscall: { deny: ptrace }', 'action: kill') +
    rule('alert', 'connect: { deny: ["*:81"] }')
  const blocking = lower(rules)
  assert.deepEqual([blocking.kill, blocking.deny], [0b01001n, 0b00010n])
  assert.deepEqual(
    blocking.weakened.map(({ rule: id }) => id),
    [2],
  )
  assert.deepEqual([blocking.execRules, blocking.connectRules, blocking.syscallRules], [0b101n, 0b10010n, 0b1000n])
  const able = lower(rules, { refuses: ALL_REFUSALS })
  assert.deepEqual([able.deny, able.weakened], [0b00110n, []])
  const observing = lower(rules, { isBlockPolicy: () => false })
  assert.deepEqual([observing.kill, observing.deny, observing.weakened], [0n, 0n, []])
  assert.ok(observing.syscalls.every(({ killMask }) => killMask.every((word) => word === 0n)))
})

test('file rules that act become entries by access, where the host can refuse; others stay, with the reason', () => {
  const rules =
    rule('kept', 'file: { deny: [{ path: /etc/**, access: [write, delete] }], allow: [/etc/motd] }', 'action: deny') +
    rule('names', 'file: { deny: [{ path: "**/id_rsa", access: read }] }', 'action: kill') +
    rule('only', 'file: { allow: [{ path: /tmp/**, access: create }] }', 'action: deny') +
    rule('glob', 'file: { deny: ["/etc/*.conf"] }', 'action: deny') +
    rule('told', 'file: { deny: [/etc/shadow] }')
  const lowered = lower(rules, { refuses: ALL_REFUSALS })
  assert.deepEqual(lowered.ruleIds, [0, 1, 2])
  assert.deepEqual(
    lowered.notLowered.map(({ rule: id, reason }) => [id, reason]),
    [
      [3, "the kernel's maps hold literal paths, `DIR/**` and program names only, not `/etc/*.conf`"],
      [4, 'file rules that only alert are judged in user space'],
    ],
  )
  const zero = [0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n]
  const at = (bits: Record<number, bigint>) => zero.map((none, bit) => bits[bit] ?? none)
  assert.deepEqual(
    lowered.fileExact.map(({ path, decided, violated }) => [text(path), decided, violated]),
    [
      ['/etc/motd', zero.map(() => 1n), zero], // a folder itself is found by its prefix
    ],
  )
  assert.deepEqual(
    lowered.filePrefix.map(({ dir, decided, violated }) => [text(dir), decided, violated]),
    [
      ['/etc/', at({ 1: 1n, 3: 1n }), at({ 1: 1n, 3: 1n })],
      ['/tmp/', at({ 2: 4n }), zero],
    ],
  )
  assert.deepEqual(
    lowered.fileBase.map(({ name, decided, violated }) => [text(name), decided, violated]),
    [['id_rsa', at({ 0: 2n }), at({ 0: 2n })]],
  )
  // an allow list violates by default, in the accesses that it speaks of
  assert.deepEqual(
    lowered.fileDefault,
    zero.map((_, bit) => (bit === 2 ? 5n : 1n)),
  )
  assert.deepEqual([lowered.fileRules, lowered.deny, lowered.kill], [0b111n, 0b101n, 0b010n])
  const blind = lower(rules)
  assert.deepEqual([blind.fileRules, blind.fileExact, blind.fileAccess], [0n, [], 0])
  assert.match(blind.notLowered[0]?.reason ?? '', /no hook that can refuse what is done to files/)
})

test('exceptions count among the entries of a connect rule', () => {
  const hosts = (count: number, net: string) =>
    Array.from({ length: count }, (_, at) => `"${net}.${at >> 8}.${at & 255}:80"`).join(', ')
  const rules = (count: number) =>
    rule(
      'many',
      `connect: { deny: [${hosts(600, '10.0')}] }`,
      `action: deny\n    exceptions: [{ name: e, reason: r, match: [${hosts(count, '10.1')}] }]`,
    )
  assert.deepEqual(lower(rules(424)).ruleIds, [0])
  const over = lower(rules(425))
  assert.deepEqual([over.ruleIds, over.notLowered.map(({ reason }) => reason)], [[], ['it has more than 1024 entries']])
})

test('an access that no hook of the host can refuse is named; one of a rule that all can is not', () => {
  const refuses = { ...ALL_REFUSALS, fileAccess: FILE_ACCESS.read | FILE_ACCESS.write }
  const lowered = lower(
    rule('both', 'file: { deny: [{ path: /a, access: [write, delete, chmod] }] }', 'action: deny') +
      rule('open', 'file: { deny: [{ path: /a, access: [read, write] }] }', 'action: kill') +
      rule('none', 'file: { deny: [{ path: /a, access: chown }] }', 'action: deny'),
    { refuses },
  )
  assert.deepEqual([lowered.ruleIds, lowered.fileAccess], [[0, 1], refuses.fileAccess])
  assert.deepEqual(lowered.weakened, [
    { rule: 0, reason: 'this host has no hook that can refuse delete, chmod: found after the act' },
  ])
  assert.deepEqual(
    lowered.notLowered.map(({ rule: id }) => id),
    [2],
  )
})

test('listen rules that act become nodes of their own, and what a bind hook leaves open is said', () => {
  const rules =
    rule('only', 'listen: { allow: [8080] }', 'action: deny') +
    rule('told', 'listen: { deny: [22] }') +
    rule('deadly', 'listen: { deny: [23] }', 'action: kill')
  const lowered = lower(rules, { refuses: { ...ALL_REFUSALS, listen: 'bind' } })
  assert.deepEqual([lowered.ruleIds, lowered.listenRules, lowered.deny, lowered.kill], [[0, 2], 3n, 1n, 2n])
  assert.deepEqual(lowered.connectNodes, [])
  assert.deepEqual(
    lowered.listenNodes.map(({ ranges }) => ranges.map(({ from, violatedTcp }) => [from, violatedTcp])),
    [
      [
        [0, 1n],
        [23, 3n],
        [24, 1n],
        [8080, 0n],
        [8081, 1n],
      ],
    ],
  )
  assert.deepEqual(
    lowered.weakened.map(({ rule: id }) => id),
    [0],
  )
  const blind = lower(rules)
  assert.deepEqual([blind.deny, blind.kill], [0n, 2n])
})

const ACCOUNTS = {
  uidsOf: (name: string) => (name === 'root' ? [0] : name === 'twice' ? [7, 8] : []),
  gidsOf: (name: string) => (name === 'ops' ? [9] : []),
}

test('mount and signal rules that act become sets of facts and entries in their order; others stay, with the reason', () => {
  const rules =
    rule(
      'mounts',
      'mount: { deny: [{ fstype: tmpfs }, /proc], allow: [{ fstype: tmpfs, target: /tmp/** }] }',
      'action: deny',
    ) +
    rule('targets', 'mount: { deny: ["/tmp/**"] }', 'action: kill') +
    rule('senders', 'signal: { allow: [{ user: root }, { user: twice, group: ops }] }', 'action: deny') +
    rule('unknown', 'signal: { deny: [{ group: nobody-here }] }', 'action: deny') +
    rule('glob', 'mount: { deny: [{ source: "/dev/sd?" }] }', 'action: deny') +
    rule('path', 'signal: { deny: [{ exe: "/bin/k*" }] }', 'action: kill') +
    rule('told', 'mount: { deny: [/etc] }')
  const lowered = lower(rules, { refuses: ALL_REFUSALS, accounts: ACCOUNTS })
  assert.deepEqual([lowered.ruleIds, lowered.deny, lowered.kill], [[0, 1, 2], 0b101n, 0b010n])
  assert.deepEqual(
    lowered.notLowered.map(({ rule: id, reason }) => [id, reason]),
    [
      [3, 'this host has no group `nobody-here`'],
      [4, "the kernel's maps hold whole words as source and type, not `/dev/sd?`"],
      [5, "the kernel's maps hold literal paths, `DIR/**` and program names only, not `/bin/k*`"],
      [6, 'mount rules that only alert are judged in user space'],
    ],
  )
  const [mount, signal, ...none] = lowered.saidRules
  assert.equal(none.length, 0)
  // facts: 1 fstype tmpfs, 2 target /tmp/**, 4 target /proc
  assert.deepEqual(
    [lowered.saidExact, lowered.saidPrefix].map((texts) =>
      texts.map(({ what, bytes, said }) => [what, text(bytes), said]),
    ),
    [
      [
        [SaidWhat.FSTYPE, 'tmpfs', 1n],
        [SaidWhat.TARGET, '/tmp', 2n],
        [SaidWhat.TARGET, '/proc', 4n],
      ],
      [[SaidWhat.TARGET, '/tmp/', 2n]],
    ],
  )
  assert.deepEqual(mount, {
    ...{ kind: SaidKind.MOUNT, rules: 0b011n, byDefault: 0b001n, byTarget: 0b010n },
    entries: [
      { needed: 3n, rule: 1n, violated: 0n },
      { needed: 4n, rule: 1n, violated: 1n },
      { needed: 2n, rule: 2n, violated: 2n },
      { needed: 1n, rule: 1n, violated: 1n },
    ],
  })
  assert.deepEqual(
    lowered.saidNumbers.map(({ what, number, said }) => [what, number, said]),
    [
      [SaidWhat.USER, 0, 1n],
      [SaidWhat.USER, 7, 2n],
      [SaidWhat.USER, 8, 2n],
      [SaidWhat.GROUP, 9, 4n],
    ],
  )
  assert.deepEqual(signal, {
    ...{ kind: SaidKind.SIGNAL, rules: 0b100n, byDefault: 0b100n, byTarget: 0n },
    entries: [
      { needed: 6n, rule: 4n, violated: 0n },
      { needed: 1n, rule: 4n, violated: 0n },
    ],
  })
  assert.deepEqual(
    lowered.weakened.map(({ rule: id }) => id),
    [0],
  )
  const blind = lower(rules, { accounts: ACCOUNTS })
  assert.deepEqual([blind.ruleIds, blind.saidRules, blind.saidExact], [[], [], []])
  assert.match(blind.notLowered[0]?.reason ?? '', /no hook that can refuse a mount/)
  assert.match(blind.notLowered[2]?.reason ?? '', /no hook that can refuse a signal/)
})

test('capability rules that act become a table by capability; how a host cannot refuse a gain is said', () => {
  const rules =
    rule('only', 'capability: { allow: [NET_RAW, CHOWN], deny: [CHOWN] }', 'action: deny') +
    rule('admin', 'capability: { deny: [SYS_ADMIN] }', 'action: kill') +
    rule('told', 'capability: { deny: [SYS_TIME] }')
  const lowered = lower(rules, { refuses: ALL_REFUSALS })
  assert.deepEqual([lowered.ruleIds, lowered.deny, lowered.kill], [[0, 1], 1n, 2n])
  const { gain, violated } = lowered.capabilities
  assert.deepEqual(
    [gain, violated.length, violated[0], violated[13], violated[21], violated[25]],
    [3n, 64, 1n, 0n, 3n, 1n],
  )
  assert.deepEqual(lowered.weakened[0], {
    rule: 0,
    reason:
      'this host has no hook that can refuse what is gained by entering a user namespace (setns): found after the act',
  })
  const older = lower(rules, { refuses: { ...ALL_REFUSALS, gain: ['exec'] } })
  assert.match(older.weakened[1]?.reason ?? '', /by making a user namespace, by entering/)
  assert.equal(lowered.notLowered[0]?.reason, 'capability rules that only alert are judged in user space')
  const blind = lower(rules)
  assert.deepEqual([blind.ruleIds, blind.capabilities.gain], [[], 0n])
  assert.match(blind.notLowered[0]?.reason ?? '', /no hook that can refuse what a process gains/)
})

test('rules about uses of capabilities stand in a mask of their own; where no hook tells of uses they say so', () => {
  const rules =
    rule('used', 'capability: { deny: [SYS_CHROOT], when: use }', 'action: deny') +
    rule('gained', 'capability: { deny: [SYS_CHROOT], when: gain }', 'action: kill') +
    rule('told', 'capability: { deny: [SYS_CHROOT], when: use }')
  const lowered = lower(rules, { refuses: ALL_REFUSALS })
  const { gain, use, violated } = lowered.capabilities
  assert.deepEqual([lowered.ruleIds, gain, use, violated[18]], [[0, 1], 2n, 1n, 3n])
  assert.deepEqual(
    lowered.weakened.map(({ rule: id }) => id),
    [1],
  )
  const refusing = lower(rules, { refuses: { ...ALL_REFUSALS, areUsesUnseen: true } })
  assert.deepEqual(refusing.ruleIds, [0, 1])
  assert.match(refusing.notLowered[0]?.reason ?? '', /no hook that tells of the use of a capability/)
  const telling = lower(rules, { refuses: { ...ALL_REFUSALS, use: false } })
  assert.match(telling.notLowered[0]?.reason ?? '', /no hook that can refuse the use of a capability/)
})

test('user space is woken at once for what a rule that kills finds after the act, although the kernel answers the rest', () => {
  const actsOf = (body: string, action: string, refuses = ALL_REFUSALS) =>
    lower(rule('r', body, `action: ${action}`), { refuses }).urgent.acts
  const [mount, setns, unshare] = (['mount', 'setns', 'unshare'] as const).map(actBit)
  assert.equal(actsOf('mount: { deny: [{ fstype: tmpfs }] }', 'kill'), mount)
  assert.equal(actsOf('mount: { deny: [{ fstype: tmpfs }] }', 'deny'), 0n)
  assert.equal(actsOf('capability: { deny: [SYS_ADMIN] }', 'kill'), setns)
  assert.equal(
    actsOf('capability: { deny: [SYS_ADMIN] }', 'kill', { ...ALL_REFUSALS, gain: ['exec'] }),
    (setns ?? 0n) | (unshare ?? 0n),
  )
  assert.equal(actsOf('capability: { deny: [SYS_ADMIN], when: use }', 'kill'), 0n)
})

test('a rule for whose entries there is no room stays in user space, the next smaller one does not', () => {
  const senders = (from: number, count: number) =>
    Array.from({ length: count }, (_, at) => `{ user: ${from + at} }`).join(', ')
  const lowered = lower(
    rule('many', `signal: { deny: [${senders(0, 60)}] }`, 'action: deny') +
      rule('more', `signal: { deny: [${senders(100, 5)}] }`, 'action: deny') +
      rule('few', `signal: { deny: [${senders(0, 4)}] }`, 'action: deny'),
    { refuses: ALL_REFUSALS },
  )
  assert.deepEqual(lowered.ruleIds, [0, 2])
  assert.equal(lowered.notLowered[0]?.reason, 'the kernel holds 64 entries of signal rules of a container')
})

test('beyond 64 rules those that act are lowered first, and the others are named', () => {
  const many = Array.from({ length: 70 }, (_, at) =>
    rule(`r${at}`, `exec: { deny: tool${at} }`, at >= 66 ? 'action: kill' : ''),
  )
  const lowered = lower(many.join(''))
  assert.equal(lowered.ruleIds.length, 64)
  assert.deepEqual(lowered.ruleIds.slice(-4), [66, 67, 68, 69])
  assert.deepEqual(
    lowered.notLowered.map(({ rule: id }) => id),
    [60, 61, 62, 63, 64, 65],
  )
})

test('a connect rule with more port ranges than a node holds stays in user space, the others are lowered', () => {
  const ports = Array.from({ length: 40 }, (_, at) => `"*:${1000 + at * 2}"`).join(', ')
  const lowered = lower(
    rule('many', `connect: { deny: [${ports}] }`) + rule('one', 'connect: { deny: ["10.0.0.0/8:80/tcp"] }'),
  )
  assert.deepEqual(lowered.ruleIds, [1])
  assert.equal(lowered.notLowered[0]?.reason, 'a network would have more than 32 port ranges')
  assert.deepEqual(
    lowered.connectNodes.map(({ prefixBits, ranges }) => [
      prefixBits,
      ranges.map(({ from, violatedTcp, violatedUdp }) => [from, violatedTcp, violatedUdp]),
    ]),
    [
      [0, [[0, 0n, 0n]]],
      [
        104,
        [
          [0, 0n, 0n],
          [80, 1n, 0n],
          [81, 0n, 0n],
        ],
      ],
    ],
  )
})

test('an allow list of calls puts every other call outside, of every ABI', () => {
  const [native, ia32] = lower(rule('r', 'syscall: { allow: [read, write] }')).syscalls
  assert.equal(native?.outside[0], (1n << 64n) - 1n - 3n)
  assert.equal(native?.outside[7], (1n << 64n) - 1n)
  assert.equal(ia32?.outside[0], (1n << 64n) - 1n)
})

test('calls are judged at their end, but for those of a rule that kills and those that do not end where they began', () => {
  const tables = (rules: string, isBlock = true) => lower(rules, { isBlockPolicy: () => isBlock }).syscalls
  const callsIn = (words: readonly bigint[] = []) =>
    HOST_SYSCALLS.table(0).filter(
      (name, nr) => name !== '' && ((words[nr >> 6] ?? 0n) & (1n << BigInt(nr & 63))) !== 0n,
    )
  const tells = rule('tells', 'syscall: { deny: [ptrace, execve, clone3, exit_group, reboot] }')
  const kills = rule('kills', 'syscall: { deny: [mount, ptrace] }', 'action: kill')
  const [both] = tables(tells + kills)
  assert.deepEqual(callsIn(both?.outside).sort(), ['clone3', 'execve', 'exit_group', 'mount', 'ptrace', 'reboot'])
  assert.deepEqual(callsIn(both?.atEnd), ['reboot'])
  assert.deepEqual(callsIn(both?.killMask).sort(), ['mount', 'ptrace'])
  const [tried] = tables(kills, false)
  assert.deepEqual(callsIn(tried?.atEnd), [], 'where a rule sees a call does not change with the mode')
  assert.deepEqual(hooksOfCalls(tables(tells)), ['on_sys_enter', 'on_sys_exit'])
  assert.deepEqual(hooksOfCalls(tables(kills)), ['on_sys_enter'])
  assert.deepEqual(hooksOfCalls(tables(rule('one', 'syscall: { deny: [bpf] }'))), ['on_sys_exit'])
  assert.deepEqual(hooksOfCalls(tables(rule('one', 'syscall: { deny: [bpf] }')), true), ['on_sys_enter'])
  assert.deepEqual(hooksOfCalls(tables(rule('none', 'exec: { deny: [nc] }')), true), [])
})

test('the kernel reports the calls of rules for which it has no bit, and kills for none of them', () => {
  const calls = HOST_SYSCALLS.table(0)
    .filter((name) => name !== '')
    .slice(0, LOWERED_RULES_MAX_COUNT + 2)
  const rules = calls.map((call) => rule(call, `syscall: { deny: [${call}] }`, 'action: kill')).join('')
  const { syscalls, notLowered } = lower(rules)
  const [native] = syscalls
  const isIn = (words: readonly bigint[] = [], call: string) => {
    const nr = HOST_SYSCALLS.number(call) ?? assert.fail(call)
    return ((words[nr >> 6] ?? 0n) & (1n << BigInt(nr & 63))) !== 0n
  }
  assert.equal(notLowered.length, 2)
  assert.deepEqual(
    calls.filter((call) => !isIn(native?.outside, call)),
    [],
  )
  assert.equal(calls.filter((call) => !isIn(native?.killMask, call)).length, 2)
  assert.deepEqual(
    calls.filter((call) => isIn(native?.atEnd, call)),
    [],
  )
})

test('user space is woken at once for what a kill that is left to it needs, and for nothing else', () => {
  const urgent = (rules: string, options: Partial<LowerOptions> = {}) => {
    const { classes, acts } = lower(rules, options).urgent
    return [classes, kindsOfActs(acts)]
  }
  const glob = 'file: { deny: [{ path: "/etc/*.conf", access: [write] }] }'
  assert.deepEqual(urgent(rule('glob', glob, 'action: kill')), [0, ['open', 'truncate']])
  assert.deepEqual(urgent(rule('glob', glob, 'action: deny')), [0, []], 'it is too late for a deny')
  assert.deepEqual(urgent(rule('glob', glob)), [0, []])
  assert.deepEqual(urgent(rule('glob', glob, 'action: kill'), { isBlockPolicy: () => false }), [0, []])
  const whole = rule('whole', 'file: { deny: [{ path: /etc/**, access: [write, delete] }] }', 'action: kill')
  assert.deepEqual(urgent(whole, { refuses: ALL_REFUSALS }), [0, []])
  const some = { refuses: { ...ALL_REFUSALS, fileAccess: FILE_ACCESS.write } }
  assert.deepEqual(urgent(whole, some), [0, ['unlink', 'rmdir']], 'the accesses that no hook refuses')
  assert.deepEqual(urgent(rule('exec', 'exec: { deny: ["/bin/n*"] }', 'action: kill')), [Want.PROCESS, []])
  assert.deepEqual(urgent(rule('signal', 'signal: { deny: [{ user: root }] }', 'action: kill')), [0, ['signal']])
  assert.deepEqual(urgent(rule('mount', 'mount: { deny: [{ target: /a }] }', 'action: kill')), [0, ['mount']])
  const gain = rule('gain', 'capability: { deny: [sys_admin] }', 'action: kill')
  const gains = (ways: (typeof ALL_REFUSALS)['gain']) => urgent(gain, { refuses: { ...ALL_REFUSALS, gain: ways } })
  assert.deepEqual(gains(['exec', 'namespace']), [0, ['setns']])
  assert.deepEqual(gains(['exec']), [Want.PROCESS, ['setns', 'unshare']], 'clone(CLONE_NEWUSER) is told by its fork')
  assert.deepEqual(gains(['namespace']), [Want.PROCESS, ['setns']])
  const condition = (text: string) => rule('when', `condition: ${JSON.stringify(text)}`, 'action: kill')
  assert.deepEqual(urgent(condition('evt.type in (connect, unlinkat)')), [Want.CONNECT, ['unlink']])
  assert.deepEqual(urgent(condition('evt.type = dns')), [Want.NAMES, []])
})
