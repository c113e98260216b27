/**
 * Records a capture of disposable containers anew. Needs root, runc and gcc.
 *
 *   node dist/bench/support/record-capture.js containers bench/data/containers.hgcap
 *   node dist/bench/support/record-capture.js busy bench/data/busy.hgcap
 *
 * `containers`: what a web server, a database and a cron host do, and an intruder's few commands, as an agent without rules sees
 * it; for golden tests. `busy`: the workloads of the e2e tests at full speed, with every class of activity on (opens are most
 * of it), and an operator whose tools some generated rules name; the matcher's event mix.
 *
 * Only events of these containers go in; what they run and see is made here, so nothing of this machine is in the file.
 */
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname, release } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ACTIVITY_CLASSES } from '../../src/agent/rules/acts.js'
import { encodeFileHeader } from '../../src/sensor/capture-format.js'
import { CaptureReader, sourceOf } from '../../src/sensor/capture-reader.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { Running } from '../../test/support/hullguard.js'
import { makeTempDir, removeDir, waitFor } from '../../test/support/process.js'
import { makeRootfs } from '../../test/support/rootfs.js'
import { type RuncContainer, runcRun } from '../../test/support/runc.js'
import { workloadImage, workloads } from '../../test/support/workloads.js'
import { withCleanup } from './cleanup.js'

/** Of the committed file, so that a clone stays small. */
const SIZE_MAX_BYTES = 300 * 1024

/** Rounds of each busy workload. */
const BUSY_ROUNDS = 12
const BUSY_MS = 12_000
/** What generated rules look for (generated-rules.ts, condition-rules.ts). */
const TOOLS = [0, 10, 20, 30, 40].map((number) => `/usr/bin/tool-${number}`)
const SECRETS = Array.from({ length: 10 }, (_, at) => `/opt/vendor-${at}/bin/run`)
const OPERATOR = `for round in 1 2 3; do
  for tool in ${TOOLS.join(' ')}; do $tool; done
  for file in ${SECRETS.join(' ')}; do cat $file >/dev/null; done
  nc -w 1 127.0.0.1 9 </dev/null; mount -t tmpfs none /mnt 2>/dev/null; sleep 1
done
exec sleep 600`

const WEB = `httpd -p 8080 -h /srv
while :; do
  for page in index.html about.html missing.html; do wget -q -O /dev/null http://127.0.0.1:8080/$page; done
  nc -w 1 127.0.0.1 8080 </dev/null
  sleep 1
done`
const DATABASE = `while :; do
  dd if=/dev/zero of=/var/log/wal bs=4096 count=4 2>/dev/null
  cp /var/log/wal /var/log/wal.old; sync; rm -f /var/log/wal.old; sleep 1
done`
const CRON = `while :; do
  date >/tmp/stamp; ls -l /etc >/dev/null; find /var -name 'wal*' >/dev/null
  tar cf /tmp/backup.tar /etc 2>/dev/null; gzip -f /tmp/backup.tar; sha256sum /tmp/backup.tar.gz >/dev/null; sleep 2
done`
const INTRUDER: readonly (readonly string[])[] = [
  ['sh', '-c', 'id; uname -a; cat /etc/shadow; env'],
  ['nc', '-w', '1', '127.0.0.1', '4444'],
  ['wget', '-q', '-T', '1', '-O', '/tmp/x', 'http://127.0.0.1:80/x'],
  ['sh', '-c', 'cp /bin/busybox /tmp/x; chmod +x /tmp/x; /tmp/x id'],
  ['chroot', '/', 'true'],
]

interface Making {
  readonly dir: string
  readonly root: string
  readonly file: string
  readonly defer: Parameters<Parameters<typeof withCleanup>[0]>[0]
}

/** Each ends with the file written. Names: what must be in it. */
const SETS: Readonly<Record<string, { record: (making: Making) => Promise<void>; names: readonly string[] }>> = {
  containers: { record: recordContainers, names: ['4444'] },
  busy: { record: recordBusy, names: ['/usr/bin/tool-40', '/opt/vendor-9/bin/run', '/var/lib/db/journal'] },
}

async function main(set: string, file: string): Promise<void> {
  const wanted = SETS[set]
  if (wanted === undefined) throw new Error(`no set \`${set}\`: there are ${Object.keys(SETS).join(', ')}`)
  await withCleanup(async (defer) => {
    const dir = makeTempDir('hg-capture')
    defer(() => removeDir(dir))
    await wanted.record({ dir, root: join(dir, 'runc'), file, defer })
    withoutKernel(file)
    check(file, [dir, hostname(), findPackageRoot(), release()], wanted.names)
  })
}

function starter({ root, defer }: Making, rootfs: string) {
  return async (id: string, args: readonly string[]) => {
    const container = await runcRun({ rootfs, root, id, args: [...args] })
    defer(() => container.remove())
    return container
  }
}

async function recordContainers(making: Making): Promise<void> {
  const rootfs = await makeRootfs(join(making.dir, 'rootfs'), {
    files: { 'srv/index.html': '<p>home</p>\n', 'srv/about.html': '<p>about</p>\n', 'etc/shadow': 'root:*:::::::\n' },
  })
  const start = starter(making, rootfs)
  const run = (id: string, script: string) => start(id, ['/bin/sh', '-c', script])
  const web = await run('web', WEB)
  await record(making, ['web', 'database', 'cron'], ['syscall'], async () => {
    await run('database', DATABASE)
    const cron = await run('cron', CRON)
    await sleep(8_000)
    await intrude(web)
    await cron.remove()
    await sleep(4_000)
  })
}

async function recordBusy(making: Making): Promise<void> {
  const { files, copies } = await workloadImage(making.dir)
  const tool = (path: string) => [path.slice(1), '#!/bin/sh\nexit 0\n']
  const rootfs = await makeRootfs(join(making.dir, 'rootfs'), {
    files: { ...files, ...Object.fromEntries([...TOOLS, ...SECRETS].map(tool)), 'mnt/.keep': '' },
    copies,
  })
  const start = starter(making, rootfs)
  const all = [...workloads(BUSY_ROUNDS), { name: 'operator', args: ['/bin/sh', '-c', OPERATOR] }]
  // a runtime's own acts before a container's first exec name paths of the host: they are over when the recording begins
  const wait = ['/bin/sh', '-c', 'while [ ! -e /begin ]; do sleep 0.1; done; exec "$@"', 'sh']
  for (const { name, args } of all) await start(name, [...wait, ...args])
  await record(
    making,
    all.map(({ name }) => name),
    ACTIVITY_CLASSES,
    async () => {
      writeFileSync(join(rootfs, 'begin'), '')
      await sleep(BUSY_MS)
    },
  )
}

/** Containers of others on this machine stay out. */
async function record(
  { file, dir, root }: Making,
  names: readonly string[],
  activity: readonly string[],
  work: () => Promise<void>,
): Promise<void> {
  rmSync(file, { force: true })
  const recording = new Running([
    ...['record', '--out', file, '--runc-root', root, '--activity', ...activity],
    ...['--container', ...names],
    ...['--data-dir', dir, '--host-lock', join(dir, 'lock'), '--docker-socket', join(dir, 'none.sock')],
  ])
  await waitFor('the recording', () => recording.stderr.includes('recording to'))
  await work()
  const { code, stdout, stderr } = await recording.stop()
  if (code !== 0) throw new Error(stderr)
  process.stdout.write(stdout)
}

async function intrude(container: RuncContainer): Promise<void> {
  for (const args of INTRUDER) await container.exec(args)
}

/** The header names the kernel's build, which is this machine's own business. */
function withoutKernel(file: string): void {
  const bytes = readFileSync(file)
  const reader = new CaptureReader(sourceOf(bytes))
  const { header } = reader
  const kernel = /^\d+\.\d+/.exec(header.host.kernel)?.[0] ?? ''
  const blocks = bytes.subarray(encodeFileHeader(header).length)
  writeFileSync(file, Buffer.concat([encodeFileHeader({ ...header, host: { ...header.host, kernel } }), blocks]))
  chmodSync(file, 0o644)
}

/** Nothing of this machine, and no more than a clone should carry. */
function check(file: string, forbidden: readonly string[], wanted: readonly string[]): void {
  const reader = CaptureReader.open(file)
  let names = JSON.stringify({ ...reader.header.host })
  if (forbidden.some((word) => names.includes(word))) throw new Error(`${file} names this machine`)
  for (const { plain } of reader.blocks()) {
    const text = Buffer.from(plain).toString('latin1')
    const found = forbidden.find((word) => text.includes(word))
    if (found !== undefined) throw new Error(`${file} holds \`${found}\`: it must not be kept`)
    names += text
  }
  reader.close()
  const sizeBytes = statSync(file).size
  if (sizeBytes > SIZE_MAX_BYTES) throw new Error(`${file} has ${sizeBytes} bytes; at most ${SIZE_MAX_BYTES} are kept`)
  const missing = wanted.filter((name) => !names.includes(name))
  if (missing.length > 0) throw new Error(`${file} lacks ${missing.join(', ')}`)
}

const [set, file] = process.argv.slice(2)
if (set === undefined || file === undefined) throw new Error('expected the set and the file to write')
await main(set, resolve(file))
