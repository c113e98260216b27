/** src/agent/fields: every field that the registry says is yielded is read; values, transformers and outputs of one exec. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { imageParts } from '../../src/agent/fields/container-texts.js'
import { EventContext } from '../../src/agent/fields/context.js'
import { OutputFormat } from '../../src/agent/fields/format.js'
import { extractorOf } from '../../src/agent/fields/reader.js'
import { ProcessImage } from '../../src/agent/process/image.js'
import type { ProcessEntry } from '../../src/agent/process/process-table.js'
import { ProcessTable } from '../../src/agent/process/process-table.js'
import { ProcessTracker } from '../../src/agent/process/process-tracker.js'
import { IdentityCell, refOf } from '../../src/container/identity.js'
import { FIELDS } from '../../src/record/fields/table.js'
import { EvExec, ExecFlag, Kind } from '../../src/sensor/generated/abi.js'
import { Counters } from '../../src/telemetry/counters.js'
import { makeExec } from '../support/sensor-events.js'

const UTC_NS = 1_700_000_000_123_456_789n

const PARENT: ProcessEntry = {
  pid: 10,
  startNs: 100n,
  parentPid: 0,
  parentStartNs: 0n,
  exe: '/usr/sbin/nginx',
  invoked: '/usr/sbin/nginx',
  args: ['nginx', '-g', 'daemon off;'],
  cwd: '/',
  uid: 0,
  gid: 0,
  phase: 'run',
}

function standing(): EventContext {
  const bytes = makeExec(
    {
      kind: Kind.EXEC,
      pid: 20,
      tid: 21,
      startNs: 5_000_000_000n,
      bootNs: 7_500_000_000n,
      uid: 33,
      gid: 44,
      parentPid: 10,
      parentStartNs: 100n,
      comm: Buffer.from('sh\0\0\0\0\0\0\0\0\0\0\0\0\0\0'),
      vpid: 7,
      vpgid: 7,
      sid: 1,
      tty: 34816,
      loginuid: 0xffff_ffff,
      capEffective: 1n | (1n << 21n),
      flags: ExecFlag.UPPER_LAYER,
    },
    { invoked: '/bin/sh', file: '/bin/busybox', cwd: '/srv', args: 'sh\0-c\0\0id; ls\0', env: 'PATH=/bin\0A=b\0' },
  )
  const event = new EvExec(new DataView(bytes.buffer), bytes)
  const table = new ProcessTable(new Counters())
  table.set(PARENT)
  const tracker = new ProcessTracker(table)
  const entry = tracker.exec(event)
  const identity = new IdentityCell(
    refOf(
      {
        id: 'a'.repeat(64),
        name: 'web',
        image: 'registry:5000/team/app:1.2@sha256:00',
        imageId: '',
        runtime: 'docker',
        labels: { 'io.kubernetes.pod.namespace': 'shop' },
      },
      [],
    ),
    1n,
    1,
    '/a',
  )
  identity.mounts = [
    { source: '/proc', destination: '/host/proc', mode: '', isWritable: true, propagation: 'rprivate' },
  ]
  const context = new EventContext({
    parentOf: (child) => tracker.parentOf(child),
    users: { nameOf: (uid) => (uid === 33 ? 'www-data' : '') },
    utcNs: () => UTC_NS,
    hostname: 'host1',
  })
  context.stand(event, entry, identity)
  context.exec = event
  return context
}

function written(output: string): string {
  return new OutputFormat(output).render(standing(), 'execve')
}

describe('fields of an event', () => {
  test('the registry and the extractors name the same fields', () => {
    for (const { name, kinds } of FIELDS)
      if (name !== 'evt.type')
        assert.equal(extractorOf(name) !== undefined, kinds.length > 0 || name.startsWith('evt.arg.'), name)
  })

  const cases: readonly [output: string, text: string][] = [
    ['%proc.name %proc.exe %proc.exepath', 'sh sh /bin/busybox'],
    ['%proc.args|%proc.cmdline|%proc.exeline|%proc.cmdnargs', '-c  id; ls|sh -c  id; ls|sh -c  id; ls|3'],
    ['%proc.cwd %proc.pid %proc.ppid %thread.tid %proc.vpid', '/srv/ 20 10 21 7'],
    ['%proc.tty %proc.is_vpgid_leader %proc.sid', '34816 true 1'],
    ['%proc.pname %proc.aname[1] %proc.aname[2] %proc.pcmdline', 'nginx nginx <NA> nginx -g daemon off;'],
    ['%proc.env[A] %proc.env[B] %proc.env', 'b <NA> PATH=/bin A=b'],
    ['%proc.is_exe_upper_layer %proc.is_exe_from_memfd %evt.arg.flags', 'true false EXE_UPPER_LAYER'],
    ['%proc.duration', '2500000000'],
    ['%user.uid %user.name %user.loginuid %user.loginname %group.gid', '33 www-data -1 <NA> 44'],
    ['%thread.cap_effective|%thread.cap_permitted', 'CAP_CHOWN CAP_SYS_ADMIN|'],
    ['%evt.type %evt.res %evt.rawres %evt.num', 'execve SUCCESS 0 1'],
    ['%evt.time %evt.time.s', '22:13:20.123456789 22:13:20'],
    ['%evt.time.iso8601', '2023-11-14T22:13:20.123456789Z'],
    ['%container.id %container.name %container.type', 'aaaaaaaaaaaa web docker'],
    [
      '%container.image.repository %container.image.tag %container.image.digest',
      'registry:5000/team/app 1.2 sha256:00',
    ],
    ['%container.mount.dest[/pr*] %container.mount.dest[0] %container.mount.dest[/x]', '/host/proc /host/proc <NA>'],
    ['%k8s.ns.name %k8s.pod.name %container.privileged', 'shop <NA> <NA>'],
    ['%fd.name %fd.sip', '<NA> <NA>'],
    ['100%% of %proc.name.', '100% of sh.'],
    ['%toupper(proc.name) %len(proc.exepath) %basename(proc.exepath)', 'SH 12 busybox'],
    ['%concat(proc.name, "-", user.name) %join(":", (proc.name, proc.exe))', 'sh-www-data sh:sh'],
    ['*%proc.name', 'sh'],
    ['50% and %', '50% and %'],
  ]
  for (const [output, text] of cases) test(`${output} is ${text}`, () => assert.equal(written(output), text))
})

test('an image name in its parts', () => {
  assert.deepEqual(imageParts('nginx'), { repository: 'nginx', tag: '', digest: '' })
  assert.deepEqual(imageParts('localhost:5000/a'), { repository: 'localhost:5000/a', tag: '', digest: '' })
  assert.deepEqual(imageParts('a/b:c@sha256:d'), { repository: 'a/b', tag: 'c', digest: 'sha256:d' })
})

test('a process without arguments goes by its name', () => {
  const image = ProcessImage.ofTexts({ comm: 'kthreadd', exe: '', cwd: '', args: [] })
  const text = (value: { bytes: Uint8Array } | undefined) => value && Buffer.from(value.bytes).toString()
  assert.deepEqual([text(image.name), text(image.exe), text(image.cmdline)], ['kthreadd', 'kthreadd', 'kthreadd'])
  assert.deepEqual([image.exePath, image.cwd, image.env, image.argsCount], [undefined, undefined, undefined, 0])
})
