/** The initramfs of a guest: node, the built program, busybox, and an init that runs a guest program. */
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { compileCalls } from './call-acts.js'
import { runOk } from './process.js'
import { GUEST_DONE } from './vm.js'
import { arm64Programs } from './vm-packages.js'

const ROOT = findPackageRoot()

/** What depends on the guest's architecture: a file or folder of this machine and its place in the guest. */
export type GuestFiles = readonly (readonly [from: string, to: string])[]

/** For a guest of this machine's architecture. What is compiled goes into `dir`. */
export async function ownFiles(dir: string): Promise<GuestFiles> {
  const addon = join(ROOT, 'dist/native/hullguard_native.node')
  const listing = execFileSync('ldd', [process.execPath, addon], { encoding: 'utf8' })
  const libraries = [...listing.matchAll(/\/[^\s:]+\.so[^\s:]*/g)].map(([library]) => library)
  return [
    ['/bin/busybox', 'bin/busybox'],
    [await compileCalls(dir), 'bin/calls'],
    [process.execPath, 'bin/node'],
    ...libraries.filter((library) => !library.startsWith(ROOT)).map((library) => [library, library] as const),
    [join(ROOT, 'dist/native'), 'app/dist/native'],
    [join(ROOT, 'dist/bpf'), 'app/dist/bpf'],
  ]
}

/** For a guest of arm64. What is cross-compiled goes into `dir`. */
export async function arm64Files(dir: string): Promise<GuestFiles> {
  const programs = await arm64Programs()
  const addon = join(dir, 'hullguard_native.node')
  const script = join(ROOT, 'scripts/cross-addon.mjs')
  await runOk(process.execPath, [script, join(programs, 'usr/lib/aarch64-linux-gnu'), addon], { timeoutMs: 120_000 })
  return [
    [join(programs, 'usr/bin/busybox'), 'bin/busybox'],
    [join(programs, 'arm32/usr/bin/busybox'), 'bin/busybox32'],
    [join(programs, 'usr/bin/node'), 'bin/node'],
    [join(programs, 'usr/lib'), 'usr/lib'],
    [join(programs, 'usr/share/nodejs'), 'usr/share/nodejs'],
    [await compileCalls(dir, 'aarch64-linux-gnu-gcc'), 'bin/calls'],
    [addon, 'app/dist/native/hullguard_native.node'],
    [join(ROOT, 'dist/bpf/arm64'), 'app/dist/bpf'],
  ]
}

const APPLETS =
  'sh mount sleep mkdir poweroff ip unshare nc wget tail cat true head id httpd touch rm mv ln rmdir chmod chown'.split(
    ' ',
  )
/** Of the packages' libraries: conversions of character sets, and what only linking needs. */
const isLeftOut = (path: string): boolean => basename(path) === 'gconv' || path.endsWith('.a')

/** An initramfs whose init mounts what `cgroup` says and runs a guest program of dist/test/vm/guest. */
export async function makeInitramfs(
  dir: string,
  guest: string,
  cgroup: 'v1' | 'v2',
  files: GuestFiles,
): Promise<string> {
  const root = join(dir, `guest-${cgroup}`)
  rmSync(root, { recursive: true, force: true })
  for (const folder of ['bin', 'dev', 'proc', 'sys', 'tmp', 'run', 'etc', 'app/dist'])
    mkdirSync(join(root, folder), { recursive: true })
  for (const name of APPLETS) symlinkSync('busybox', join(root, 'bin', name))
  for (const [from, to] of files) {
    mkdirSync(join(root, dirname(to)), { recursive: true })
    // What is named itself may be a link out of its folder; links within a folder stay.
    cpSync(realpathSync(from), join(root, to), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !isLeftOut(path),
    })
  }
  if (!existsSync(join(root, 'lib'))) symlinkSync('usr/lib', join(root, 'lib'))
  for (const part of ['src', 'test/vm'])
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
