// A generated file: written, or with `--check` only held against what is committed.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'

const root = new URL('../', import.meta.url)

/** path: from the root of the repository. With `--check` a difference is said, and the process ends with exit code 1. */
export function putGenerated(path, text, madeFrom) {
  const file = new URL(path, root)
  if (!process.argv.includes('--check')) {
    mkdirSync(new URL('.', file), { recursive: true })
    writeFileSync(file, text)
    return
  }
  let committed = ''
  try {
    committed = readFileSync(file, 'utf8')
  } catch {
    // a file that is not there differs
  }
  if (committed === text) return
  const generator = process.argv[1].split('/').at(-1)
  console.error(`${path} differs from ${madeFrom}; run \`node scripts/${generator}\``)
  process.exitCode = 1
}
