// The build stages in order. Each has a key (a hash over all it is made from) and outputs: it is fresh when its stamp holds
// the key and the outputs are there; a stage whose source is not in the checkout is none. A stamp is written last, so an interrupted stage runs again.
import { copyFileSync, existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { buildAddon } from './gyp.mjs'
import { at, filesUnder, hashOf, readStamp, root, run, SetupError, say, writeStamp } from './support.mjs'

const target = `${process.platform}-${process.arch}-${process.versions.modules}`

const npm = {
  name: 'npm',
  source: 'package-lock.json',
  title: 'npm packages (npm ci)',
  stamp: 'node_modules/.hullguard-stamp',
  outputs: ['node_modules/.package-lock.json'],
  key: () => hashOf(['package-lock.json'], target),
  run() {
    run('npm', ['ci', '--no-audit', '--no-fund'], {
      env: { JOBS: 'max' }, // of node-gyp, for packages with native code
      advice: 'check that the npm registry can be reached; packages with native code also need make, g++ and python3',
    })
  },
}

const bpf = {
  name: 'bpf',
  source: 'scripts/build-bpf.sh',
  title: 'BPF objects (scripts/build-bpf.sh)',
  stamp: 'dist/.stamps/bpf',
  outputs: ['dist/bpf/hullguard.bpf.o', 'dist/bpf/arm64/hullguard.bpf.o'],
  key: () => hashOf(filesUnder(['bpf', 'scripts/build-bpf.sh'])),
  run() {
    run('bash', ['scripts/build-bpf.sh'], { advice: 'correct the source that clang names' })
  },
}

/** Shared libraries a program needs, name -> file, as the loader resolves them here. */
function librariesOf(file) {
  const text = run('ldd', [file], { advice: 'ldd comes with the C library' })
  const found = new Map()
  for (const [, name, path] of text.matchAll(/^\s*(\S+) => (.+?)(?: \(0x[0-9a-f]+\))?$/gm)) found.set(name, path)
  return found
}

/** Licence text of the package a library came from, and the common licences that text points to. */
function copyLicences(library, folder) {
  let owner = ''
  const real = realpathSync(library)
  for (const path of [real, real.replace(/^\/usr\//, '/'), library]) {
    try {
      owner = run('dpkg-query', ['-S', path]).split(':')[0]
      break
    } catch {}
  }
  const copyright = `/usr/share/doc/${owner}/copyright`
  if (owner === '' || !existsSync(copyright)) {
    say(`no licence text found for ${library}: add it to ${folder} before you pass the build on to others`)
    return
  }
  copyFileSync(copyright, at(folder, `${owner}.txt`))
  for (const [, name] of readFileSync(copyright, 'utf8').matchAll(
    /\/usr\/share\/common-licenses\/([A-Za-z0-9.-]*[A-Za-z0-9])/g,
  )) {
    const text = `/usr/share/common-licenses/${name}`
    if (existsSync(text)) copyFileSync(text, at(folder, `${name}.txt`))
  }
}

/** Rename, not overwrite: a running agent has the old file mapped. */
function replaceFile(from, to) {
  copyFileSync(from, `${to}.new`)
  renameSync(`${to}.new`, to)
}

const addon = {
  name: 'addon',
  source: 'binding.gyp',
  title: 'native addon (node-gyp)',
  stamp: 'dist/.stamps/addon',
  outputs: ['dist/native/hullguard_native.node'],
  key: () => hashOf(filesUnder(['binding.gyp', 'native', 'bpf/abi.h', 'bpf/abi']), target),
  run() {
    const built = buildAddon({ folder: root })
    if (!existsSync(built))
      throw new SetupError('node-gyp built no build/Release/hullguard_native.node: see binding.gyp')
    const folder = 'dist/native/licenses'
    rmSync(at(folder), { recursive: true, force: true })
    mkdirSync(at(folder), { recursive: true })
    // What node itself needs is wherever node runs; the rest goes beside the addon, so that a target needs none installed.
    const present = librariesOf(process.execPath)
    for (const [name, path] of librariesOf(built)) {
      if (present.has(name)) continue
      if (!existsSync(path)) throw new SetupError(`the addon needs ${name}, which the loader does not find (${path})`)
      replaceFile(path, at('dist/native', name))
      copyLicences(path, folder)
    }
    replaceFile(built, at('dist/native/hullguard_native.node'))
  },
}

const sourceRoots = ['src', 'test', 'bench']
const isTypeScript = (file) => extname(file) === '.ts'

/** Whether a file in dist still has its source. */
function hasSource(file) {
  const source = file.slice('dist/'.length).replace(/\.map$/, '')
  return existsSync(at(source)) || existsSync(at(source.replace(/\.js$/, '.ts')))
}

const typescript = {
  name: 'typescript',
  source: 'tsconfig.json',
  title: 'TypeScript (tsc)',
  stamp: 'dist/.stamps/typescript',
  outputs: ['dist/src'],
  key: () => hashOf([...filesUnder(sourceRoots), 'tsconfig.json', 'package-lock.json']),
  run() {
    // An incremental tsc does not write again what it believes to be there.
    if (!existsSync(at('dist/src'))) rmSync(at('dist/.tsbuildinfo'), { force: true })
    run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.'], {
      advice: 'correct the source that tsc names',
    })
    for (const file of filesUnder(sourceRoots, (path) => !isTypeScript(path))) {
      mkdirSync(at('dist', dirname(file)), { recursive: true })
      copyFileSync(at(file), at('dist', file))
    }
    // A test whose source is gone must not run on.
    const built = sourceRoots.map((folder) => join('dist', folder))
    for (const file of filesUnder(built)) if (!hasSource(file)) rmSync(at(file))
  },
}

const allStages = [npm, bpf, addon, typescript]
export const stageNames = allStages.map((stage) => stage.name)
export const presentStages = () => allStages.filter((stage) => existsSync(at(stage.source)))

export const isFresh = (stage) =>
  stage.outputs.every((output) => existsSync(at(output))) && readStamp(stage.stamp) === stage.key()

export function build(stage) {
  const startedMs = Date.now()
  say(`${stage.title} …`)
  const key = stage.key()
  rmSync(at(stage.stamp), { force: true })
  stage.run()
  const absent = stage.outputs.filter((output) => !existsSync(at(output)))
  if (absent.length > 0) throw new SetupError(`${stage.title} ended well but made no ${absent.join(', ')}`)
  writeStamp(stage.stamp, key)
  say(`${stage.title} done in ${((Date.now() - startedMs) / 1000).toFixed(1)} s`)
}
