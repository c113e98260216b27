/** What docs say of the kernel side, held to its sources: the maps with their bounds, the programs, and the files. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { RUNGS } from '../../src/sensor/rungs.js'

const root = new URL('../../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')
const filesOf = (folder: string) => readdirSync(new URL(folder, root)).map((name) => `${folder}/${name}`)

const files = ['bpf/abi.h', ...filesOf('bpf/abi'), ...filesOf('bpf/lib'), ...filesOf('bpf/programs')]
const source = files.map(read).join('\n')

/** The maps whose room is taken entry by entry: any of them can be full. */
const FILLING = ['HASH', 'LRU_HASH', 'LPM_TRIE']

interface MapRow {
  name: string
  type: string
  /** NaN where it is no product of numbers. */
  maxEntries: number
}

function maps(): MapRow[] {
  const blocks = source.matchAll(
    /^struct \{\n\t__uint\(type, BPF_MAP_TYPE_(\w+)\);([\s\S]*?)^\} (\w+) SEC\("\.maps"\);/gm,
  )
  return [...blocks].map(([, type = '', body = '', name = '']) => {
    const size = /__uint\(max_entries, (.*?)\);/.exec(body)?.[1] ?? ''
    const factors = size.split('*').map((word) => {
      const text = word.trim()
      return Number(new RegExp(`^#define ${text} +(\\d+)`, 'm').exec(source)?.[1] ?? text)
    })
    return {
      name,
      type,
      maxEntries: size === '' ? Number.NaN : factors.reduce((product, factor) => product * factor, 1),
    }
  })
}

test('docs/identity.md names every map of the kernel side, with the bound of each that can be full', () => {
  const text = read('docs/identity.md')
  const all = maps()
  assert.equal(all.length, source.split('SEC(".maps")').length - 1, 'every map is read here')
  assert.ok(all.length > 30)
  for (const { name, type, maxEntries } of all) {
    const line = text.split('\n').find((one) => one.includes(`\`${name}\``) || one.includes(`\`${name} `))
    assert.ok(line !== undefined, `${name} is not named`)
    if (!FILLING.includes(type)) continue
    const bound = maxEntries.toLocaleString('en')
    // where a row has several maps, the bound stands right behind the name
    const beside = new RegExp(`\`${name}\` ([\\d,]*\\d)`).exec(line)?.[1]
    if (beside !== undefined) assert.equal(beside, bound, name)
    else assert.match(line.split('|')[2] ?? '', new RegExp(`^ ${bound}\\b`), name)
  }
})

/** `on_a`, `_b` and `on_a4`, `6` stand for the programs that begin alike; `on_a_*` for all of them. */
function isNamed(program: string, cell: string): boolean {
  const words = [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)
  const first = words[0] ?? ''
  return words.some((word) => {
    if (word.endsWith('*')) return program.startsWith(word.slice(0, -1))
    if (word.startsWith('on_')) return program === word
    return program.endsWith(word) && program.startsWith(first.replace(word.startsWith('_') ? /_[a-z]+$/ : /\d$/, ''))
  })
}

test('bpf/README.md has every program in one row of its table, with its hook, and no row of none', () => {
  const rows = read('bpf/README.md')
    .split('\n')
    .filter((line) => line.startsWith('| `on_'))
    .map((line) => line.split(' | '))
  const programs = [...source.matchAll(/^SEC\("([\w/]+)"\)\nint (?:BPF_PROG\()?(on_\w+)/gm)].map(
    ([, hook = '', program = '']) => ({ program, hook }),
  )
  assert.ok(programs.length > 45)
  assert.deepEqual(
    RUNGS.map(({ program }) => program).filter((name) => !programs.some(({ program }) => program === name)),
    [],
    'every rung is among them',
  )
  const used = new Set<string[]>()
  for (const { program, hook } of programs) {
    const naming = rows.filter(([cell = '']) => isNamed(program, cell))
    assert.equal(naming.length, 1, `${program} stands in ${naming.length} rows`)
    const [row = []] = naming
    used.add(row)
    const [family = '', name = ''] = hook.split('/')
    const said = row[1] ?? ''
    assert.ok(said.includes(`\`${family}/`), `${program}: ${family} in ${said}`)
    const words = [...said.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word.replace(/^\w+\//, ''))
    const isSaid = words.some((word) =>
      word.endsWith('*')
        ? name.startsWith(word.slice(0, -1))
        : name === word || (/^\d$/.test(word) && name.endsWith(word)),
    )
    assert.ok(isSaid, `${program}: ${name} in ${said}`)
  }
  assert.equal(used.size, rows.length)
})

test('bpf/README.md names every file of lib, and what hooks that tell of calls or packets share', () => {
  const text = read('bpf/README.md')
  const names = filesOf('bpf/lib').map((path) => path.replace('bpf/lib/', ''))
  assert.deepEqual(
    names.filter((name) => !text.includes(`${name}\``)),
    [],
  )
  const shared = filesOf('bpf/programs').filter((path) => !/^SEC\("(?!\.maps)/m.test(read(path)))
  assert.deepEqual(
    shared.filter((path) => !text.includes(`${path.replace('bpf/programs/', '')}\``)),
    [],
  )
})
