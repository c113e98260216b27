/**
 * Records bench/data/containers.hgcap anew: three disposable containers do what a web server, a database and a cron host do,
 * and an intruder's few commands, for the matcher's and the delivery's benches and for golden tests. Needs root and runc.
 *
 *   node dist/bench/support/record-capture.js FILE
 *
 * Only events of these containers go in; what they run and see is made here, so nothing of this machine is in the file.
 */
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname, release } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeFileHeader } from '../../src/sensor/capture-format.js'
import { CaptureReader, sourceOf } from '../../src/sensor/capture-reader.js'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { Running } from '../../test/support/hullguard.js'
import { makeTempDir, removeDir, waitFor } from '../../test/support/process.js'
import { makeRootfs } from '../../test/support/rootfs.js'
import { type RuncContainer, runcRun } from '../../test/support/runc.js'
import { withCleanup } from './cleanup.js'

/** Of the committed file, so that a clone stays small. */
const SIZE_MAX_BYTES = 300 * 1024

/** Containers of others on this machine stay out. */
const NAMES = ['web', 'database', 'cron']

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

async function main(file: string): Promise<void> {
  await withCleanup(async (defer) => {
    const dir = makeTempDir('hg-capture')
    defer(() => removeDir(dir))
    const root = join(dir, 'runc')
    const rootfs = await makeRootfs(join(dir, 'rootfs'), {
      files: { 'srv/index.html': '<p>home</p>\n', 'srv/about.html': '<p>about</p>\n', 'etc/shadow': 'root:*:::::::\n' },
    })
    const run = async (id: string, script: string) => {
      const container = await runcRun({ rootfs, root, id, args: ['/bin/sh', '-c', script] })
      defer(() => container.remove())
      return container
    }
    const web = await run('web', WEB)
    await record(file, dir, root, async () => {
      await run('database', DATABASE)
      const cron = await run('cron', CRON)
      await sleep(8_000)
      await intrude(web)
      await cron.remove()
      await sleep(4_000)
    })
    withoutKernel(file)
    check(file, [dir, hostname(), findPackageRoot(), release()])
  })
}

async function record(file: string, dir: string, root: string, work: () => Promise<void>): Promise<void> {
  rmSync(file, { force: true })
  const recording = new Running([
    ...['record', '--out', file, '--runc-root', root, '--activity', 'syscall'],
    ...['--container', ...NAMES],
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
function check(file: string, forbidden: readonly string[]): void {
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
  if (!names.includes('4444')) throw new Error(`${file} lacks the intruder's acts`)
}

const [file] = process.argv.slice(2)
if (file === undefined) throw new Error('expected the file to write')
await main(resolve(file))
