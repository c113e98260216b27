// The checks that need no run of the product: form, lint, import direction, generated files. `node scripts/check.mjs` runs
// them alone; scripts/test.mjs runs them as its first tier. Each answers {name, result: 'pass' | 'fail' | 'skip', reason}.
import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { findCommand } from './setup/needs.mjs'
import { at, filesUnder, root } from './setup/support.mjs'

const OUTPUT_MAX_BYTES = 64 * 1024 * 1024
const execute = promisify(execFile)

async function runCheck(name, command, args) {
  try {
    await execute(command, args, { cwd: root, maxBuffer: OUTPUT_MAX_BYTES })
    return { name, result: 'pass', reason: '' }
  } catch (error) {
    return { name, result: 'fail', reason: `${error.stdout ?? ''}${error.stderr ?? ''}`.trim() || error.message }
  }
}

async function checkClangFormat() {
  const name = 'clang-format over bpf/ and native/'
  if (findCommand('clang-format') === undefined)
    return { name, result: 'skip', reason: 'clang-format is not installed' }
  const files = filesUnder(['bpf', 'native'], (file) => /\.(c|cc|h)$/.test(file))
  const check = await runCheck(name, 'clang-format', ['--dry-run', '-Werror', ...files])
  const wrong = new Set([...check.reason.matchAll(/^(\S+?):\d+:\d+: /gm)].map(([, file]) => file))
  return wrong.size === 0 ? check : { ...check, reason: `not formatted; run: clang-format -i ${[...wrong].join(' ')}` }
}

/** The generators whose output is committed. The ABI's reads the compiled object, which a host without clang lacks. */
function generatedChecks() {
  const generators = readdirSync(at('scripts')).filter((name) => /^generate-.*\.mjs$/.test(name))
  return generators
    .sort()
    .flatMap((generator) =>
      generator === 'generate-abi.mjs'
        ? ['dist/bpf/hullguard.bpf.o', 'dist/bpf/arm64/hullguard.bpf.o'].map(
            (object) => () => checkAbi(generator, object),
          )
        : [() => runCheck(`${generator} --check`, process.execPath, [at('scripts', generator), '--check'])],
    )
}

async function checkAbi(generator, object) {
  const name = `${generator} --check --object ${object}`
  if (!existsSync(at(object))) return { name, result: 'skip', reason: 'no compiled BPF object to compare with' }
  return runCheck(name, process.execPath, [at('scripts', generator), '--check', '--object', object])
}

/** As many at a time as there are CPUs; their results in this order. */
export async function runChecks() {
  const checks = [
    () => runCheck('biome check', at('node_modules/.bin/biome'), ['check', '--max-diagnostics=15', '.']),
    () => runCheck('layers.mjs --check', process.execPath, [at('scripts/layers.mjs'), '--check']),
    ...generatedChecks(),
    checkClangFormat,
  ]
  const results = []
  const left = [...checks.entries()]
  const work = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) results[next[0]] = await next[1]()
  }
  await Promise.all(Array.from({ length: availableParallelism() }, work))
  return results
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const results = await runChecks()
  for (const { name, result, reason } of results)
    console.log(`${result.padEnd(4)} ${name}${reason ? `\n${reason}` : ''}`)
  process.exitCode = results.some(({ result }) => result === 'fail') ? 1 : 0
}
