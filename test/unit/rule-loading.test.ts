/**
 * Loading and compiling thousands of rules beside the event loop's other work: it has its turn many times meanwhile, and what
 * comes out is what one go gives. Turns are counted, nothing is timed.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { ConditionSet } from '../../src/agent/conditions/condition-set.js'
import { loadRules } from '../../src/agent/conditions/rule-loader.js'
import { inTurns } from '../../src/agent/host/in-turns.js'
import { PolicySet } from '../../src/agent/rules/policies.js'
import { compileProgram } from '../../src/match/program.js'
import { atOnce, type Steps } from '../../src/match/steps.js'
import { hullguard } from '../support/hullguard.js'
import { makeTempDir, removeDir } from '../support/process.js'

const RULES_COUNT = 10_000
/** Half a second of work in pieces of a few milliseconds is a hundred turns; a tenth of that is asked for. */
const TURNS_MIN_COUNT = 10

const folder = makeTempDir('hg-rules')
after(() => removeDir(folder))

const falcoFile = join(folder, 'falco.yaml')
const nativeFile = join(folder, 'native.yaml')
const numbers = Array.from({ length: RULES_COUNT }, (_, index) => index)
writeFileSync(
  falcoFile,
  numbers
    .slice(0, RULES_COUNT / 4)
    .map(
      (index) =>
        `- rule: falco ${index}\n  desc: d\n  condition: evt.type = execve and proc.name in (tool-${index}, scan-${index}) and not proc.pname = ci-${index}\n  output: "%proc.name ${index}"\n  priority: NOTICE\n`,
    )
    .join(''),
)
writeFileSync(
  nativeFile,
  `policy: many\ncontainers: all\nrules:\n${numbers
    .map((index) =>
      index % 2 === 0
        ? `  - { rule: exec ${index}, exec: { deny: [/opt/app-${index}/**, tool-${index}] } }\n`
        : `  - { rule: cond ${index}, condition: evt.type = openat and fd.name startswith /srv/secret-${index} }\n`,
    )
    .join('')}`,
)

/** How often a timer of the event loop had its turn while the work was done. */
async function turnsDuring<Result>(work: Promise<Result>): Promise<{ result: Result; turns: number }> {
  let turns = 0
  let isOver = false
  const turn = () => {
    turns += 1
    if (!isOver) setTimeout(turn, 1)
  }
  setTimeout(turn, 1)
  try {
    return { result: await work, turns }
  } finally {
    isOver = true
  }
}

describe('thousands of rules', () => {
  const loading = turnsDuring(loadRules({ policies: [nativeFile], falco: [falcoFile] }))

  test('are read, checked and taken over while the loop goes on, whole and in order', async () => {
    const { result, turns } = await loading
    const { native, falco } = result
    assert.deepEqual([native.errorCount, native.diagnostics, falco?.errorCount, falco?.errors], [0, '', 0, ''])
    const names = native.policies.flatMap(({ rules }) => rules.map(({ name }) => name))
    assert.deepEqual(
      names,
      numbers.map((index) => (index % 2 === 0 ? `exec ${index}` : `cond ${index}`)),
    )
    assert.deepEqual(
      falco?.falco.rules.map(({ name }) => name),
      numbers.slice(0, RULES_COUNT / 4).map((index) => `falco ${index}`),
    )
    assert.ok(turns >= TURNS_MIN_COUNT, `${turns} turns`)
  })

  test('are compiled while the loop goes on, to the same program as in one go', async () => {
    const { native, falco } = (await loading).result
    const rulebook = { policies: native.policies, falco: falco?.falco }
    const { result: set, turns } = await turnsDuring(inTurns(PolicySet.steps(7, rulebook)))
    assert.ok(turns >= TURNS_MIN_COUNT, `${turns} turns`)
    assert.equal(set.version, 7)
    const program = compileProgram(native.policies)
    assert.equal(set.program.describe(), program.describe())
    const conditions = atOnce(ConditionSet.steps(rulebook, program))
    assert.equal(set.conditions.program.describe(), conditions.program.describe())
    assert.deepEqual([...set.conditions.kinds].sort(), ['exec', 'open'])
  })

  test('no step of the compiling is most of it', async () => {
    const { native, falco } = (await loading).result
    let count = 0
    for (const _ of PolicySet.steps(7, { policies: native.policies, falco: falco?.falco })) count += 1
    // at least one a rule for reading it, for its gate and for its code
    assert.ok(count > RULES_COUNT * 3, `${count} steps`)
  })
})

describe('work in turns', () => {
  test('an error in a step is the error of the whole', async () => {
    function* failing(): Steps<void> {
      yield
      throw new RangeError('step 2')
    }
    await assert.rejects(inTurns(failing()), /step 2/)
    assert.throws(() => atOnce(failing()), /step 2/)
  })

  test('what the worker refuses is said as before, with its place', async () => {
    const bad = join(folder, 'bad.yaml')
    writeFileSync(bad, 'policy: bad\ncontainers: all\nrules:\n  - { rule: a, exec: { dney: [nc] } }\n')
    const run = await hullguard(['policy', 'test', bad])
    assert.equal(run.code, 1)
    assert.match(run.stderr, /bad\.yaml:4:\d+[\s\S]*did you mean `deny`/)
  })
})
