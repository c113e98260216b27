/** src/cli/options.ts: where a value comes from, and how a bad one is refused. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { camelCase, OPTIONS, type OptionName, resolveSettings } from '../../src/cli/options.js'
import { HullguardError } from '../../src/telemetry/errors.js'
import { makeTempDir, removeDir } from '../support/process.js'

const dir = makeTempDir()
after(() => removeDir(dir))

/** Settings from a configuration file with this text, flags, and environment. */
function resolve(
  name: OptionName,
  { text = '', flags = {}, env = {} }: { text?: string; flags?: Record<string, unknown>; env?: NodeJS.ProcessEnv } = {},
) {
  const config = join(dir, 'config.yaml')
  writeFileSync(config, text)
  return resolveSettings([name], { config, ...flags }, env)
}

const refusal = (part: string | RegExp) => (error: unknown) =>
  error instanceof HullguardError &&
  error.errorName === 'config_invalid' &&
  (typeof part === 'string' ? error.message.includes(part) : part.test(error.message))

describe('options', () => {
  test('a flag beats the environment, that the file, and that the default', () => {
    const text = 'data-dir: /file\n'
    const env = { HULLGUARD_DATA_DIR: '/env' }
    assert.equal(resolve('data-dir', { text, env, flags: { dataDir: '/flag' } }).text('data-dir'), '/flag')
    assert.equal(resolve('data-dir', { text, env }).text('data-dir'), '/env')
    assert.equal(resolve('data-dir', { text }).text('data-dir'), '/file')
    assert.equal(resolve('data-dir').text('data-dir'), '/var/lib/hullguard')
  })

  test('an empty value is none', () => {
    const settings = resolve('data-dir', { env: { HULLGUARD_DATA_DIR: '' }, flags: { dataDir: '' } })
    assert.equal(settings.text('data-dir'), '/var/lib/hullguard')
  })

  test('every option has a name in the environment and in the file, and its default is of its own kind', () => {
    for (const name of Object.keys(OPTIONS) as OptionName[]) {
      const spec: { kind: string; choices?: readonly string[]; default?: unknown } = OPTIONS[name]
      const value = spec.choices?.[0] ?? { flag: 'true', count: '7', list: 'a', string: 'a', choice: 'a' }[spec.kind]
      if (name === 'config') continue
      const variable = `HULLGUARD_${name.toUpperCase().replaceAll('-', '_')}`
      assert.doesNotThrow(() => resolve(name, { env: { [variable]: value } }), name)
      assert.doesNotThrow(() => resolve(name, { text: `${name}: ${value}\n` }), name)
      if (spec.default !== undefined && spec.kind === 'choice') assert.ok(spec.choices?.includes(String(spec.default)))
    }
  })

  test('the environment names the configuration file', () => {
    const config = join(dir, 'other.yaml')
    writeFileSync(config, 'mode: block\n')
    assert.equal(resolveSettings(['mode'], {}, { HULLGUARD_CONFIG: config }).text('mode'), 'block')
  })

  test('a file that was named must be there; it may be empty', () => {
    assert.throws(
      () => resolveSettings(['mode'], { config: join(dir, 'none') }, {}),
      refusal('cannot read the configuration'),
    )
    assert.equal(resolve('mode', { text: '' }).text('mode'), 'observe')
    assert.equal(resolve('mode', { text: '# nothing\n' }).text('mode'), 'observe')
  })

  test('a file that is no configuration is refused by its name', () => {
    for (const text of ['- a\n', 'just text\n', 'mode: [\n', 'mode: observe\nmode: block\n', '\0\x01\x02'])
      assert.throws(() => resolve('mode', { text }), refusal('config.yaml'), JSON.stringify(text))
  })

  test('an option that does not exist is refused by its name, also when it is not asked for', () => {
    assert.throws(() => resolve('mode', { text: 'colour: red\n' }), refusal('no option `colour`'))
    assert.throws(() => resolve('mode', { text: 'toString: 1\n' }), refusal('no option `toString`'))
  })

  test('a choice is one of its words; where it stood is in the message', () => {
    assert.throws(
      () => resolve('mode', { flags: { mode: 'Block' } }),
      refusal('--mode: expected one of observe, block, received "Block"'),
    )
    assert.throws(() => resolve('mode', { env: { HULLGUARD_MODE: 'x' } }), refusal('HULLGUARD_MODE: expected'))
    assert.throws(() => resolve('mode', { text: 'mode: 7\n' }), refusal(/config\.yaml: mode: expected .*, received 7/))
  })

  test('a list comes from repeated flags, commas, or a list in the file', () => {
    const lists = [
      resolve('policies', { flags: { policies: ['/a', '/b'] } }),
      resolve('policies', { flags: { policies: ['/a,/b'] } }),
      resolve('policies', { env: { HULLGUARD_POLICIES: '/a,/b,' } }),
      resolve('policies', { text: 'policies: [/a, /b]\n' }),
      resolve('policies', { text: 'policies: /a,/b\n' }),
    ]
    for (const settings of lists) assert.deepEqual(settings.list('policies'), ['/a', '/b'])
    assert.deepEqual(resolve('policies').list('policies'), [])
    assert.throws(
      () => resolve('activity', { flags: { activity: ['syscall', 'all'] } }),
      refusal('--activity: expected any of process, connect, file, privilege, sharing, network, names, syscall'),
    )
  })

  test('a count is a whole number above 0', () => {
    assert.equal(resolve('ring-size', { flags: { ringSize: '16' } }).count('ring-size'), 16)
    assert.equal(resolve('ring-size', { text: 'ring-size: 16\n' }).count('ring-size'), 16)
    for (const wrong of ['0', '-1', '1.5', 'many', '1e400', '9007199254740993'])
      assert.throws(
        () => resolve('ring-size', { flags: { ringSize: wrong } }),
        refusal('a whole number above 0'),
        wrong,
      )
  })

  test('a flag is true or false', () => {
    for (const [value, expected] of [
      ['true', true],
      ['1', true],
      ['false', false],
      ['0', false],
    ] as const)
      assert.equal(resolve('json', { env: { HULLGUARD_JSON: value } }).flag('json'), expected)
    assert.equal(resolve('json', { flags: { json: true } }).flag('json'), true)
    assert.throws(
      () => resolve('json', { env: { HULLGUARD_JSON: 'yes' } }),
      refusal('HULLGUARD_JSON: expected true or false'),
    )
  })

  test('what was not asked for is absent, and what is needed says so', () => {
    const settings = resolve('mode')
    assert.equal(settings.text('data-dir'), undefined)
    assert.deepEqual(settings.list('policies'), [])
    assert.throws(
      () => settings.required('docker-socket'),
      (error) =>
        error instanceof HullguardError && error.errorName === 'usage' && error.message === '--docker-socket is needed',
    )
  })

  test('names of flags are camel case', () => {
    assert.equal(camelCase('runc-root'), 'runcRoot')
    assert.equal(camelCase('json'), 'json')
  })
})
