/**
 * Stock Debian kernels in qemu (software emulation): downloads a kernel package, packs node, the built program and busybox
 * into an initramfs, boots it, and gives back what the guest printed. Kernels and packages are cached.
 */
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { runOk } from './process.js'

const ROOT = findPackageRoot()
/** DESIGN §12: one boot and at most 4 minutes a kernel. */
const BOOT_MAX_MS = 240_000
export const GUEST_DONE = 'HULLGUARD-GUEST-DONE'

export function vmCacheDir(): string {
  return process.env.HULLGUARD_TEST_CACHE ?? join(ROOT, '.data', 'cache')
}

/** Path of the newest kernel image of this series (`6.1`, `6.12`) for clouds, from Debian's packages. */
export async function kernelImage(series: string): Promise<string> {
  const folder = join(vmCacheDir(), `kernel-${series}`)
  const boot = join(folder, 'boot')
  const present = existsSync(boot) ? readdirSync(boot).find((name) => name.startsWith('vmlinuz-')) : undefined
  if (present !== undefined) return join(boot, present)
  const names = execFileSync('apt-cache', ['pkgnames', `linux-image-${series}.`], { encoding: 'utf8' }).split('\n')
  const wanted = names
    .filter((name) => /^linux-image-[\d.]+[-+][\w.+]*-?cloud-amd64$/.test(name))
    .sort(byVersion)
    .at(-1)
  if (wanted === undefined) throw new Error(`no cloud kernel of series ${series} among the packages (apt-get update?)`)
  mkdirSync(folder, { recursive: true })
  await runOk('apt-get', ['download', wanted], { cwd: folder, timeoutMs: 300_000 })
  const file = readdirSync(folder).find((name) => name.endsWith('.deb'))
  if (file === undefined) throw new Error(`apt-get download ${wanted} left no package`)
  await runOk('dpkg', ['-x', join(folder, file), folder], { timeoutMs: 120_000 })
  rmSync(join(folder, file))
  return kernelImage(series)
}

function byVersion(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}

/** An initramfs whose init mounts what `cgroup` says and runs a guest program of dist/test/vm/guest. */
export async function makeInitramfs(dir: string, guest: string, cgroup: 'v1' | 'v2'): Promise<string> {
  const root = join(dir, `guest-${cgroup}`)
  rmSync(root, { recursive: true, force: true })
  for (const folder of ['bin', 'dev', 'proc', 'sys', 'tmp', 'run', 'etc', 'app/dist'])
    mkdirSync(join(root, folder), { recursive: true })
  cpSync('/bin/busybox', join(root, 'bin/busybox'))
  for (const name of [
    'sh',
    'mount',
    'mkdir',
    'poweroff',
    'ip',
    'unshare',
    'nc',
    'wget',
    'sleep',
    'tail',
    'cat',
    'true',
    'head',
  ])
    symlinkSync('busybox', join(root, 'bin', name))
  const addon = join(ROOT, 'dist/native/hullguard_native.node')
  cpSync(process.execPath, join(root, 'bin/node'), { dereference: true })
  const listing = execFileSync('ldd', [process.execPath, addon], { encoding: 'utf8' })
  for (const [library] of listing.matchAll(/\/[^\s:]+\.so[^\s:]*/g)) {
    if (library.startsWith(ROOT)) continue
    mkdirSync(join(root, dirname(library)), { recursive: true })
    cpSync(library, join(root, library), { dereference: true })
  }
  for (const part of ['src', 'native', 'bpf', 'test/vm'])
    cpSync(join(ROOT, 'dist', part), join(root, 'app/dist', part), { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(root, 'app/package.json'))
  for (const name of ['yaml', 'lru-cache', 'protobufjs', '@protobufjs', 'long'])
    if (existsSync(join(ROOT, 'node_modules', name)))
      cpSync(join(ROOT, 'node_modules', name), join(root, 'app/node_modules', name), { recursive: true })
  writeFileSync(join(root, 'init'), initScript(guest, cgroup))
  chmodSync(join(root, 'init'), 0o755)
  const image = join(dir, `guest-${cgroup}.cpio.gz`)
  await runOk('sh', ['-c', `cd '${root}' && find . | cpio -o -H newc --quiet | gzip -1 > '${image}'`], {
    timeoutMs: 120_000,
  })
  rmSync(root, { recursive: true })
  return image
}

function initScript(guest: string, cgroup: 'v1' | 'v2'): string {
  const hierarchy =
    cgroup === 'v2'
      ? 'mount -t cgroup2 none /sys/fs/cgroup'
      : 'mount -t tmpfs none /sys/fs/cgroup; mkdir /sys/fs/cgroup/memory; mount -t cgroup -o memory none /sys/fs/cgroup/memory'
  return `#!/bin/sh
export PATH=/bin HOME=/tmp
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev; mount -t tmpfs none /tmp; mount -t tmpfs none /run
${hierarchy}
ip link set lo up
node /app/dist/test/vm/guest/${guest}.js
echo ${GUEST_DONE}
poweroff -f
`
}

/** Everything the guest printed. Throws when it did not reach its end within 4 minutes. */
export function bootGuest(kernel: string, initramfs: string): Promise<string> {
  const args = [
    '-accel',
    'tcg,thread=multi',
    '-cpu',
    'max',
    '-smp',
    '2',
    '-m',
    '2560',
    '-nographic',
    '-no-reboot',
    '-nic',
    'none',
  ]
  args.push('-kernel', kernel, '-initrd', initramfs, '-append', 'console=ttyS0 quiet oops=panic panic=-1')
  return new Promise((resolve, reject) => {
    const qemu = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [qemu.stdout, qemu.stderr])
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString('utf8')
      })
    const timer = setTimeout(() => qemu.kill('SIGKILL'), BOOT_MAX_MS)
    qemu.on('error', reject)
    qemu.on('close', () => {
      clearTimeout(timer)
      if (output.includes(GUEST_DONE)) resolve(output)
      else reject(new Error(`the guest did not reach its end within ${BOOT_MAX_MS / 1000} s:\n${output.slice(-3000)}`))
    })
  })
}
