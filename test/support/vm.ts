/**
 * Stock Debian kernels in qemu (software emulation): downloads a kernel package, packs node, the built program and busybox
 * into an initramfs, boots it, and gives back what the guest printed. Kernels and packages are cached.
 */
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { compileCalls } from './call-acts.js'
import { runOk } from './process.js'

const ROOT = findPackageRoot()
/** DESIGN §12: one boot and at most 4 minutes a kernel. */
const BOOT_MAX_MS = 240_000
export const GUEST_DONE = 'HULLGUARD-GUEST-DONE'

export function vmCacheDir(): string {
  return process.env.HULLGUARD_TEST_CACHE ?? join(ROOT, '.data', 'cache')
}

/** Path of the newest kernel image of this series (`5.10`, `6.1`, `6.12`) for clouds, from Debian's packages. */
export async function kernelImage(series: string): Promise<string> {
  const folder = join(vmCacheDir(), `kernel-${series}`)
  const boot = join(folder, 'boot')
  const present = existsSync(boot) ? readdirSync(boot).find((name) => name.startsWith('vmlinuz-')) : undefined
  if (present !== undefined) return join(boot, present)
  mkdirSync(folder, { recursive: true })
  const apt = await aptOptions(series, folder)
  const names = execFileSync('apt-cache', [...apt, 'pkgnames', `linux-image-${series}.`], { encoding: 'utf8' }).split(
    '\n',
  )
  const wanted = names
    .filter((name) => /^linux-image-[\d.]+[-+][\w.+]*-?cloud-amd64$/.test(name))
    .sort(byVersion)
    .at(-1)
  if (wanted === undefined) throw new Error(`no cloud kernel of series ${series} among the packages (apt-get update?)`)
  await runOk('apt-get', [...apt, 'download', wanted], { cwd: folder, timeoutMs: 300_000 })
  const file = readdirSync(folder).find((name) => name.endsWith('.deb'))
  if (file === undefined) throw new Error(`apt-get download ${wanted} left no package`)
  await runOk('dpkg', ['-x', join(folder, file), folder], { timeoutMs: 120_000 })
  rmSync(join(folder, file))
  return kernelImage(series)
}

/** Suites that the host's own list of sources lacks: read with a list and a state of their own, so that the host's stay as they are. */
const FOREIGN_SUITES: Readonly<Record<string, string>> = { '5.10': 'bullseye' }

async function aptOptions(series: string, folder: string): Promise<string[]> {
  const suite = FOREIGN_SUITES[series]
  if (suite === undefined) return []
  const apt = join(folder, 'apt')
  for (const part of ['state/lists/partial', 'cache/archives/partial']) mkdirSync(join(apt, part), { recursive: true })
  const key = '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
  const mirror = 'http://deb.debian.org'
  writeFileSync(
    join(apt, 'sources.list'),
    `deb ${key} ${mirror}/debian ${suite} main\ndeb ${key} ${mirror}/debian-security ${suite}-security main\n`,
  )
  const options = [
    `Dir::State=${join(apt, 'state')}`,
    `Dir::Cache=${join(apt, 'cache')}`,
    `Dir::Etc::sourcelist=${join(apt, 'sources.list')}`,
    'Dir::Etc::sourceparts=/dev/null',
    'Dir::State::status=/var/lib/dpkg/status',
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option])
  await runOk('apt-get', [...options, 'update'], { timeoutMs: 120_000 })
  return options
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
    'id',
    'httpd',
  ])
    symlinkSync('busybox', join(root, 'bin', name))
  await compileCalls(join(root, 'bin'))
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
mount -t proc none /proc
for word in $(cat /proc/cmdline); do case $word in guest.expects=*) export GUEST_EXPECTS=\${word#*=};; esac; done
mount -t sysfs none /sys; mount -t securityfs none /sys/kernel/security; mount -t devtmpfs none /dev; mount -t tmpfs none /tmp; mount -t tmpfs none /run
${hierarchy}
ip link set lo up
node /app/dist/test/vm/guest/${guest}.js
echo ${GUEST_DONE}
poweroff -f
`
}

/**
 * Steady before fast: all CPUs of the guest on one thread of the host (the emulator's multi-threaded mode has races of its
 * own when a kernel patches its code), without the newest paging and protection features, which old emulators get wrong.
 */
const MACHINE = ['-accel', 'tcg,thread=single', '-cpu', 'max,la57=off,pku=off', '-smp', '2', '-m', '2560']
const DEVICES = ['-nographic', '-no-reboot', '-nic', 'none']
const BOOT_ARGUMENTS = 'console=ttyS0 quiet oops=panic panic=-1 mitigations=off nosoftlockup'
const ATTEMPTS_MAX = 3
/** First words of the guest's program, and how long a living kernel may take to reach them (8 to 20 s are usual). */
const PROGRAM_BEGAN = '{"kernel"'
const START_MAX_MS = 75_000
/** A fault of the guest's kernel, as the kernel prints it. */
const KERNEL_DEATH =
  /Kernel panic - not syncing|\bOops: |BUG: unable to handle|general protection fault|invalid opcode: /

export interface GuestRun {
  /** Everything the guest printed. */
  output: string
  /** What a guest kernel that died said, per attempt before this one. */
  deaths: readonly string[]
}

/**
 * Boots until the guest reaches its end. A kernel that dies (of the emulation, as far as anyone can say once) is booted again,
 * at most twice, and said aloud; one that dies twice at the same place, or a run with a failed check, is never tried again.
 * Throws when the end was not reached within 4 minutes over all attempts.
 */
export async function bootGuest(kernel: string, initramfs: string, append = ''): Promise<GuestRun> {
  const end = Date.now() + BOOT_MAX_MS
  const deaths: string[] = []
  for (;;) {
    const output = await bootOnce(kernel, initramfs, append, end - Date.now())
    if (output.includes(GUEST_DONE)) return { output, deaths }
    const death = deathOf(output)
    if (death === undefined || output.includes('"ok":false') || Date.now() >= end)
      throw new Error(`the guest did not reach its end within ${BOOT_MAX_MS / 1000} s:\n${output.slice(-3000)}`)
    const isRepeated = deaths.some((earlier) => placeOf(earlier) === placeOf(death))
    deaths.push(death)
    console.log(`# guest kernel died, attempt ${deaths.length} of ${ATTEMPTS_MAX}:\n${death.replace(/^/gm, '#   ')}`)
    if (isRepeated || deaths.length === ATTEMPTS_MAX)
      throw new Error(`the guest kernel died ${deaths.length} times; the last time:\n${death}`)
  }
}

/** The kernel's last words, or undefined when it did not die: a hang before the guest's program began counts as a death. */
export function deathOf(output: string): string | undefined {
  const found = KERNEL_DEATH.exec(output)
  if (found !== null) return output.slice(Math.max(0, found.index - 200), found.index + 4000)
  return output.includes(PROGRAM_BEGAN) ? undefined : `nothing from the guest's program:\n${output.slice(-2000)}`
}

/** Where a dead kernel stood: the first instruction pointer of its trace, without the load address. */
export function placeOf(death: string): string {
  return /RIP: \w+:(\S+)/.exec(death)?.[1] ?? 'no trace'
}

function bootOnce(kernel: string, initramfs: string, append: string, limitMs: number): Promise<string> {
  const args = [...MACHINE, ...DEVICES, '-kernel', kernel, '-initrd', initramfs]
  args.push('-append', `${BOOT_ARGUMENTS} ${append}`.trim())
  return new Promise((resolve, reject) => {
    const qemu = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    // a character may come in two pieces
    for (const stream of [qemu.stdout, qemu.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
    const timer = setTimeout(() => qemu.kill('SIGKILL'), limitMs)
    const startTimer = setTimeout(() => {
      if (!output.includes(PROGRAM_BEGAN)) qemu.kill('SIGKILL')
    }, START_MAX_MS)
    qemu.on('error', reject)
    qemu.on('close', () => {
      clearTimeout(timer)
      clearTimeout(startTimer)
      resolve(output)
    })
  })
}
