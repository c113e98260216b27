/**
 * A stand-in for the Node base image, made from this machine: Debian from its own mirror (debootstrap), with this machine's
 * Node, npm, package sources and certificates at the places where they are here, so that apt and npm work inside as outside.
 * Slow to make (about a minute), so it is kept as a tar in a cache folder; what is in the cache never leaves the machine.
 */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeTempDir, removeDir, runOk } from './process.js'

export const repoRoot = fileURLToPath(new URL('../../../', import.meta.url))

const DEBOOTSTRAP_TIMEOUT_MS = 600_000
const TAR_TIMEOUT_MS = 300_000

/** HULLGUARD_TEST_CACHE, or a folder of the checkout that git ignores. Only its owner may read it: it holds an npm configuration. */
export function cacheDir(): string {
  const dir = process.env.HULLGUARD_TEST_CACHE ?? join(repoRoot, '.data/cache')
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  return dir
}

export const shortHash = (parts: readonly (string | Buffer)[]): string => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part).update('\0')
  return hash.digest('hex').slice(0, 16)
}

interface Mirror {
  suite: string
  url: string
}

/** The release that runs here, and the mirror that apt takes it from. */
async function mirrorOfThisMachine(): Promise<Mirror> {
  const suite = /^VERSION_CODENAME=(\S+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]
  if (suite === undefined) throw new Error('/etc/os-release names no VERSION_CODENAME')
  const format = '$(CREATED_BY) $(COMPONENT) $(CODENAME) $(REPO_URI)'
  const targets = (await runOk('apt-get', ['indextargets', '--format', format])).split('\n')
  const url = targets.find((line) => line.startsWith(`Packages main ${suite} `))?.split(' ')[3]
  if (url === undefined)
    throw new Error(`apt knows no repository with ${suite} main (has \`apt-get update\` been run?)`)
  return { suite, url }
}

/** Copies a file or folder of this machine to the same place below `base`; what is not here is not copied. */
function copySame(path: string, base: string): void {
  if (!existsSync(path)) return
  const target = join(base, path)
  mkdirSync(dirname(target), { recursive: true })
  // A configuration that is a link (to a certificate store, say) must come as a file.
  cpSync(realpathSync(path), target, { recursive: true, dereference: false, verbatimSymlinks: true, force: true })
}

async function copyNode(base: string): Promise<void> {
  const node = realpathSync(process.execPath)
  const prefix = dirname(dirname(node))
  copySame(node, base)
  copySame(join(prefix, 'include/node'), base)
  const npm = join(await runOk('npm', ['root', '--global']), 'npm')
  copySame(npm, base)
  for (const name of ['npm', 'npx']) {
    const link = join(base, prefix, 'bin', name)
    rmSync(link, { force: true })
    await runOk('ln', ['-s', join(npm, `bin/${name}-cli.js`), link])
  }
  const libraries = (await runOk('ldd', [node])).matchAll(/=> (\/\S+)/g)
  for (const [, library] of libraries) {
    // minbase has the C and C++ libraries; a Node of the distribution needs more of this machine's.
    if (library !== undefined && !existsSync(join(base, library))) copySame(library, base)
  }
}

async function copyConfiguration(base: string): Promise<void> {
  rmSync(join(base, 'etc/apt/sources.list'), { force: true })
  const apt = [
    'sources.list',
    'sources.list.d',
    'apt.conf',
    'apt.conf.d',
    'preferences',
    'preferences.d',
    'keyrings',
    'trusted.gpg.d',
  ]
  for (const name of apt) copySame(join('/etc/apt', name), base)
  copySame('/usr/share/keyrings', base)
  copySame('/etc/ssl/certs/ca-certificates.crt', base)
  const configs = JSON.parse(await runOk('npm', ['config', 'list', '--json', '--long'])) as Record<string, unknown>
  if (typeof configs.globalconfig === 'string') copySame(configs.globalconfig, base)
  if (typeof configs.userconfig === 'string' && existsSync(configs.userconfig)) {
    mkdirSync(join(base, 'root'), { recursive: true })
    cpSync(realpathSync(configs.userconfig), join(base, 'root/.npmrc'))
  }
}

/**
 * In two stages, so that dpkg is told in between, as in Docker's own images, not to sync each file that it unpacks: with thousands
 * of files that takes longer than everything else, here and when the image's packages are installed.
 */
async function bootstrap(suite: string, url: string, dir: string): Promise<void> {
  const options = ['--foreign', '--variant=minbase', '--include=ca-certificates']
  await runOk('debootstrap', [...options, suite, dir, url], { timeoutMs: DEBOOTSTRAP_TIMEOUT_MS })
  mkdirSync(join(dir, 'etc/dpkg/dpkg.cfg.d'), { recursive: true })
  writeFileSync(join(dir, 'etc/dpkg/dpkg.cfg.d/unsafe-io'), 'force-unsafe-io\n')
  await runOk('chroot', [dir, '/debootstrap/debootstrap', '--second-stage'], { timeoutMs: DEBOOTSTRAP_TIMEOUT_MS })
}

/** The tar of the base, made if the cache has none for this release and this Node. */
export async function debianBaseTar(): Promise<string> {
  const { suite, url } = await mirrorOfThisMachine()
  const npmVersion = await runOk('npm', ['--version'])
  const key = shortHash([suite, url, process.version, npmVersion, readFileSync(fileURLToPath(import.meta.url))])
  const tar = join(cacheDir(), `base-${key}.tar`)
  if (existsSync(tar)) return tar
  dropOthers('base-')
  const dir = makeTempDir('hullguard-base')
  try {
    await bootstrap(suite, url, dir)
    await copyNode(dir)
    await copyConfiguration(dir)
    const own = `${tar}.${process.pid}`
    await runOk('tar', ['-C', dir, '-cf', own, '--exclude=./var/cache/apt/archives/*.deb', '--exclude=./dev/*', '.'], {
      timeoutMs: TAR_TIMEOUT_MS,
    })
    chmodSync(own, 0o600)
    renameSync(own, tar)
    return tar
  } finally {
    removeDir(dir)
  }
}

/** Removes older files of a kind: the cache holds one of each. */
export function dropOthers(prefix: string): void {
  for (const name of readdirSync(cacheDir())) {
    if (basename(name).startsWith(prefix)) rmSync(join(cacheDir(), name), { force: true })
  }
}
