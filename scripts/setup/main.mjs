// Setup's command line and its order of work: system packages, then each stage that is not fresh and can be built.
import { parseArgs } from 'node:util'
import { withLock } from './lock.mjs'
import { provide } from './needs.mjs'
import { build, isFresh, presentStages, stageNames } from './stages.mjs'
import { at, SetupError, say } from './support.mjs'

const PURPOSES = ['run', 'test', 'demo', 'bench']
const PARTS = ['packages', ...stageNames]

const usage = `usage: node scripts/setup.mjs [--for ${PURPOSES.join('|')}] [--build-only] [--only PART,…] [--quiet]
  --for         what the checkout is wanted for (default: run); tests need more than running does
  --build-only  install nothing on the system
  --only        these parts and no other: ${PARTS.join(', ')}
  --quiet       no line when everything is up to date`

function parse(args) {
  const { values } = parseArgs({
    args,
    options: {
      for: { type: 'string', default: 'run' },
      'build-only': { type: 'boolean', default: false },
      only: { type: 'string' },
      quiet: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const parts = values.only?.split(',') ?? PARTS
  if (!PURPOSES.includes(values.for))
    throw new TypeError(`expected one of ${PURPOSES.join(', ')} for --for, received ${values.for}`)
  const unknown = parts.find((part) => !PARTS.includes(part))
  if (unknown !== undefined) throw new TypeError(`expected some of ${PARTS.join(', ')} for --only, received ${unknown}`)
  return { purpose: values.for, mayInstall: !values['build-only'], parts, quiet: values.quiet, help: values.help }
}

/** What is not built and should be. */
const staleOf = (parts) => presentStages().filter((stage) => parts.includes(stage.name) && !isFresh(stage))

function providePackages({ purpose, mayInstall, parts }, stale) {
  const asksForPackages = parts.includes('packages')
  const unbuilt = asksForPackages && parts.length === 1 ? stageNames : stale.map((stage) => stage.name)
  return provide(purpose, unbuilt, mayInstall && asksForPackages)
}

function work(options) {
  const stale = staleOf(options.parts)
  const unmet = providePackages(options, stale)
  let leftOutCount = 0
  for (const stage of stale) {
    const lacking = unmet.filter((need) => need.stages.includes(stage.name))
    if (lacking.length === 0) {
      build(stage)
    } else {
      leftOutCount++
      say(`not built: ${stage.title}, for lack of ${lacking.map((need) => need.debian).join(', ')}`)
    }
  }
  say(leftOutCount === 0 ? 'ready' : 'so no probe can be loaded: the agent does not run here, everything else does')
}

export function main(args) {
  const startedMs = Date.now()
  let options
  try {
    options = parse(args)
  } catch (error) {
    console.error(`setup: ${error.message}\n${usage}`)
    return 2
  }
  if (options.help) {
    console.log(usage)
    return 0
  }
  try {
    const stale = staleOf(options.parts)
    if (stale.length > 0) {
      const onWait = (pid) => say(`another setup of this checkout is at work (pid ${pid}); waiting for it`)
      withLock(at('dist/.setup.lock'), onWait, () => work(options)) // looks again: the other may have built it all
    } else {
      providePackages(options, stale)
      if (!options.quiet) say(`everything is up to date (${((Date.now() - startedMs) / 1000).toFixed(2)} s)`)
    }
    return 0
  } catch (error) {
    const isFromSystem = typeof error.code === 'string' && typeof error.syscall === 'string'
    if (!(error instanceof SetupError) && !isFromSystem) throw error
    say(error.message)
    return 1
  }
}
