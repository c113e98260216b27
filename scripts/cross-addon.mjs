// Builds the addon for arm64 with Debian's cross compiler, for the vm tier. The build goes on in a folder of its own, since
// build/ is that of this machine.
//
//   node scripts/cross-addon.mjs LIBRARIES OUT    LIBRARIES: a folder with arm64's libbpf.so and what it needs; OUT: the addon
import { copyFileSync, cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildAddon } from './setup/gyp.mjs'
import { at, SetupError } from './setup/support.mjs'

const TRIPLET = 'aarch64-linux-gnu'
const [libraries, out] = process.argv.slice(2)
if (libraries === undefined || out === undefined) {
  console.error('usage: node scripts/cross-addon.mjs LIBRARIES OUT')
  process.exit(2)
}
const folder = mkdtempSync(join(tmpdir(), 'hullguard-cross-'))
try {
  for (const name of ['binding.gyp', 'package.json', 'native', 'bpf'])
    cpSync(at(name), join(folder, name), { recursive: true })
  symlinkSync(at('node_modules'), join(folder, 'node_modules'))
  const env = {
    CC: `${TRIPLET}-gcc`,
    CXX: `${TRIPLET}-g++`,
    AR: `${TRIPLET}-ar`,
    LDFLAGS: `-L${libraries} -Wl,-rpath-link,${libraries}`,
  }
  copyFileSync(buildAddon({ folder, options: ['--arch=arm64'], env }), out)
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  console.error(error.message)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
