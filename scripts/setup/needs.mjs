// The software that must come from the system: which, for what, and how it is found. Looked for as commands and headers, not
// as packages, so that a host with (say) docker-ce keeps it and nothing is installed in its place.
// As root on a Debian-like system the missing ones are installed with apt; elsewhere they are listed with a command to run.
import { accessSync, closeSync, constants, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run, SetupError, say } from './support.mjs'

/** Daemons and bpftool live in sbin, which the PATH of an ordinary user lacks. */
const commandPath = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']

export function findCommand(name) {
  for (const folder of commandPath) {
    if (folder === '') continue
    const file = join(folder, name)
    try {
      accessSync(file, constants.X_OK)
      if (statSync(file).isFile()) return file
    } catch {}
  }
  return undefined
}

const command = (name) => () => findCommand(name) !== undefined
const header = (name) => () => ['/usr/include', '/usr/local/include'].some((folder) => existsSync(join(folder, name)))

const armHeaders = () => existsSync('/usr/arm-linux-gnueabihf/include/asm/unistd.h')

/** A dynamically linked program names its loader (/lib64/ld-linux…, /lib/ld-musl…) within its first page. */
function staticBusybox() {
  const file = findCommand('busybox')
  if (file === undefined) return false
  const page = Buffer.alloc(4096)
  const fd = openSync(file, 'r')
  try {
    readSync(fd, page, 0, page.length, 0)
  } finally {
    closeSync(fd)
  }
  return !page.includes('/ld-linux') && !page.includes('/ld-musl')
}

const BUILD = 'run test demo bench'
const CONTAINER = 'test demo bench'
const TEST = 'test'

/** purposes: the values of --for that want it. stages: what cannot be built without it. debian, fedora: package names. */
const needs = [
  [BUILD, 'bpf', 'clang', 'clang', 'compiles the BPF programs', command('clang')],
  [BUILD, 'bpf', 'llvm', 'llvm', 'strips the BPF object', command('llvm-strip')],
  [BUILD, 'bpf', 'bpftool', 'bpftool', 'links the BPF objects and reads their types', command('bpftool')],
  [BUILD, 'bpf addon', 'libbpf-dev', 'libbpf-devel', 'loads BPF programs', header('bpf/libbpf.h')],
  [BUILD, 'addon', 'libelf-dev', 'elfutils-libelf-devel', 'libbpf reads ELF with it', header('libelf.h')],
  [BUILD, 'addon', 'zlib1g-dev', 'zlib-devel', 'libelf unpacks with it', header('zlib.h')],
  [BUILD, 'addon', 'make', 'make', 'node-gyp builds with it', command('make')],
  [BUILD, 'addon', 'g++', 'gcc-c++', 'compiles the addon', command('g++')],
  [BUILD, 'addon', 'python3', 'python3', 'node-gyp runs on it', command('python3')],
  [BUILD, 'addon', 'pkg-config', 'pkgconf-pkg-config', 'finds libbpf', command('pkg-config')],
  [CONTAINER, '', 'runc', 'runc', 'makes containers', command('runc')],
  [CONTAINER, '', 'busybox-static', 'busybox', 'is what runs in them', staticBusybox],
  [TEST, '', 'containerd', 'containerd', 'a runtime under test', command('containerd')],
  [TEST, '', 'docker.io', 'moby-engine', 'a runtime under test', command('dockerd')],
  [TEST, '', 'iptables', 'iptables', 'dockerd needs it', command('iptables')],
  [TEST, '', 'debootstrap', 'debootstrap', 'makes the base of the test image', command('debootstrap')],
  [TEST, '', 'clang-format', 'clang-tools-extra', 'checks the form of C and C++ files', command('clang-format')],
  [TEST, '', 'tmux', 'tmux', 'a terminal for tests', command('tmux')],
  [TEST, '', 'iproute2', 'iproute', 'test networks', command('ip')],
  [TEST, '', 'qemu-system-x86', 'qemu-system-x86-core', 'boots other kernels', command('qemu-system-x86_64')],
  [TEST, '', 'qemu-system-arm', 'qemu-system-aarch64-core', 'boots those of arm64', command('qemu-system-aarch64')],
  [
    TEST,
    '',
    'g++-aarch64-linux-gnu',
    'gcc-c++-aarch64-linux-gnu',
    'compiles for arm64',
    command('aarch64-linux-gnu-g++'),
  ],
  [TEST, '', 'linux-libc-dev-armhf-cross', 'kernel-cross-headers', 'system calls of 32-bit ARM', armHeaders],
  [TEST, '', 'cpio', 'cpio', 'packs what they boot into', command('cpio')],
  [TEST, '', 'libcap2-bin', 'libcap', 'gives test programs capabilities', command('setcap')],
  [TEST, '', 'procps', 'procps-ng', 'ps, for tests', command('ps')],
].map(([purposes, stages, debian, fedora, why, found]) => ({
  purposes: purposes.split(' '),
  stages: stages === '' ? [] : stages.split(' '),
  debian,
  fedora,
  why,
  found,
}))

/** What `purpose` misses; a tool whose stages are all built already is not missed. */
const missingFor = (purpose, unbuilt) =>
  needs.filter(
    (need) =>
      need.purposes.includes(purpose) &&
      (need.stages.length === 0 || need.stages.some((stage) => unbuilt.includes(stage))) &&
      !need.found(),
  )

/** The word after `KEY=` in os-release(5), unquoted. */
function osRelease() {
  for (const file of ['/etc/os-release', '/usr/lib/os-release']) {
    try {
      const pairs = readFileSync(file, 'utf8').matchAll(/^([A-Z_]+)=(["']?)(.*)\2$/gm)
      return new Map([...pairs].map(([, key, , value]) => [key, value]))
    } catch {}
  }
  return new Map()
}

export function systemFamily() {
  const release = osRelease()
  const ids = `${release.get('ID') ?? ''} ${release.get('ID_LIKE') ?? ''}`.split(' ')
  if (ids.includes('debian')) return 'debian'
  return ids.includes('fedora') || ids.includes('rhel') ? 'fedora' : 'other'
}

/** What a person has to do, in one piece. */
function listMissing(missing, family) {
  const lines = missing.map((need) => `    ${(family === 'fedora' ? need.fedora : need.debian).padEnd(22)} ${need.why}`)
  const names = (key) => missing.map((need) => need[key]).join(' ')
  const how = {
    debian: `install them with: sudo apt-get install --no-install-recommends ${names('debian')}`,
    fedora: `install them with: sudo dnf install ${names('fedora')}`,
    other: "install them with this system's package manager (the names are Debian's)",
  }
  return `not on this system:\n${lines.join('\n')}\n  ${how[family]}`
}

function aptInstall(missing) {
  // needrestart must not restart the services of somebody's host because of us.
  const env = { DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1' }
  const packages = missing.map((need) => need.debian)
  say(`installing with apt:\n${missing.map((need) => `    ${need.debian.padEnd(22)} ${need.why}`).join('\n')}`)
  const manually = `apt-get install ${packages.join(' ')}`
  const advice = `correct what apt names above (network, sources, a package this release lacks), or run \`${manually}\` by hand`
  const options = ['-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0']
  run('apt-get', [...options, 'update'], { env, advice })
  run('apt-get', [...options, 'install', '-y', '--no-install-recommends', ...packages], { env, advice })
  const still = missing.filter((need) => !need.found())
  if (still.length > 0) throw new SetupError(`apt installed them, but still ${listMissing(still, 'debian')}`)
}

/** Installs what `purpose` misses, or says what is missing. `unbuilt`: names of stages. Returns the needs that stay unmet. */
export function provide(purpose, unbuilt, mayInstall) {
  const missing = missingFor(purpose, unbuilt)
  if (missing.length === 0) return []
  const family = systemFamily()
  if (mayInstall && process.getuid() === 0 && family === 'debian') {
    aptInstall(missing)
    return []
  }
  say(listMissing(missing, family))
  return missing
}
