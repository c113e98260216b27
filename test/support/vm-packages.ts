/**
 * What guests run, from Debian's packages: kernels, and for an architecture other than this machine's the programs too. Packages
 * are read with apt lists and a state of their own where the machine's have not what is wanted, unpacked, and kept in the cache.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findPackageRoot } from '../../src/telemetry/package-root.js'
import { runOk } from './process.js'

/** As Debian names it. */
export type GuestArch = 'amd64' | 'arm64'

export function vmCacheDir(): string {
  return process.env.HULLGUARD_TEST_CACHE ?? join(findPackageRoot(), '.data', 'cache')
}

/** What is being fetched, or is there: boots that run at once want the same. */
const wanted = new Map<string, Promise<string>>()

function once(name: string, make: () => Promise<string>): Promise<string> {
  const making = wanted.get(name) ?? make()
  wanted.set(name, making)
  return making
}

/** Path of the newest kernel image of this series (`5.10`, `6.1`, `6.12`) for clouds. */
export function kernelImage(series: string, arch: GuestArch): Promise<string> {
  return once(`kernel ${series} ${arch}`, () => fetchKernel(series, arch))
}

async function fetchKernel(series: string, arch: GuestArch): Promise<string> {
  const folder = join(vmCacheDir(), arch === 'amd64' ? `kernel-${series}` : `kernel-${series}-${arch}`)
  const boot = join(folder, 'boot')
  const present = existsSync(boot) ? readdirSync(boot).find((name) => name.startsWith('vmlinuz-')) : undefined
  if (present !== undefined) return join(boot, present)
  mkdirSync(folder, { recursive: true })
  const apt = await kernelSources(series, arch, folder)
  const names = execFileSync('apt-cache', [...apt, 'pkgnames', `linux-image-${series}.`], { encoding: 'utf8' }).split(
    '\n',
  )
  const newest = names
    .filter((name) => new RegExp(`^linux-image-[\\d.]+[-+][\\w.+]*-?cloud-${arch}$`).test(name))
    .sort(byVersion)
    .at(-1)
  if (newest === undefined)
    throw new Error(`no cloud kernel of series ${series} for ${arch} among the packages (apt-get update?)`)
  await unpack(apt, [newest], folder, folder)
  rmSync(join(folder, 'apt'), { recursive: true, force: true })
  return fetchKernel(series, arch)
}

/** Suites that the host's own list of sources lacks. */
const FOREIGN_SUITES: Readonly<Record<string, string>> = { '5.10': 'bullseye' }

async function kernelSources(series: string, arch: GuestArch, folder: string): Promise<string[]> {
  const suite = FOREIGN_SUITES[series]
  if (suite === undefined && arch === 'amd64') return []
  const from = suite ?? 'bookworm'
  return ownSources(folder, [arch], [`debian ${from}`, `debian-security ${from}-security`])
}

/** apt's options for lists of these archives' suites, with nothing installed; the host's own stay as they are. */
async function ownSources(folder: string, archs: readonly string[], suites: readonly string[]): Promise<string[]> {
  const apt = join(folder, 'apt')
  for (const part of ['state/lists/partial', 'cache/archives/partial']) mkdirSync(join(apt, part), { recursive: true })
  const from = `deb [arch=${archs.join(',')} signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org`
  writeFileSync(join(apt, 'sources.list'), suites.map((suite) => `${from}/${suite} main\n`).join(''))
  writeFileSync(join(apt, 'status'), '')
  const options = [
    `Dir::State=${join(apt, 'state')}`,
    `Dir::Cache=${join(apt, 'cache')}`,
    `Dir::Etc::sourcelist=${join(apt, 'sources.list')}`,
    'Dir::Etc::sourceparts=/dev/null',
    `Dir::State::status=${join(apt, 'status')}`,
    'APT::Sandbox::User=root',
    `APT::Architecture=${archs[0]}`,
    ...archs.map((arch) => `APT::Architectures::=${arch}`),
  ].flatMap((option) => ['-o', option])
  await runOk('apt-get', [...options, 'update'], { timeoutMs: 120_000 })
  return options
}

/** Downloads packages into `folder` and leaves what is in them in `into`. */
async function unpack(apt: readonly string[], packages: readonly string[], folder: string, into: string) {
  await runOk('apt-get', [...apt, 'download', ...packages], { cwd: folder, timeoutMs: 300_000 })
  const files = readdirSync(folder).filter((name) => name.endsWith('.deb'))
  if (files.length < packages.length) throw new Error(`apt-get download ${packages.join(' ')} left ${files.join(' ')}`)
  for (const file of files) {
    await runOk('dpkg', ['-x', join(folder, file), into], { timeoutMs: 120_000 })
    rmSync(join(folder, file))
  }
}

function byVersion(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}

/** The BPF library that the addon of this release is built with. */
const LIBBPF = ['libbpf1', 'libbpf-dev', 'libelf1'].map((name) => `${name}/bookworm`)

/**
 * A folder with arm64's node, busybox and libraries as they are installed (`usr`), and a busybox for 32-bit ARM (`arm32`).
 * Node is that of trixie: bookworm's is too old for hullguard.
 */
export function arm64Programs(): Promise<string> {
  return once('programs of arm64', fetchArm64Programs)
}

async function fetchArm64Programs(): Promise<string> {
  const folder = join(vmCacheDir(), 'programs-arm64')
  if (existsSync(folder)) return folder
  const making = `${folder}.${process.pid}`
  try {
    for (const part of ['downloads', 'arm32']) mkdirSync(join(making, part), { recursive: true })
    const apt = await ownSources(making, ['arm64', 'armhf'], ['debian bookworm', 'debian trixie'])
    const install = await runOk('apt-get', [...apt, '-s', '--no-install-recommends', 'install', 'nodejs'])
    const needed = [...install.matchAll(/^Inst (\S+)/gm)].map(([, name]) => name ?? '')
    const downloads = join(making, 'downloads')
    await unpack(apt, [...needed, ...LIBBPF, 'busybox-static'], downloads, making)
    await unpack(apt, ['busybox-static:armhf'], downloads, join(making, 'arm32'))
    for (const part of ['downloads', 'apt']) rmSync(join(making, part), { recursive: true })
    renameSync(making, folder)
  } finally {
    rmSync(making, { recursive: true, force: true })
  }
  return folder
}
