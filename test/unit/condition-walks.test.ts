/** What walks of a field's values are made of, each against the plain way to say the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AhoCorasick } from '../../src/match/conditions/aho-corasick.js'
import { PathComponents } from '../../src/match/conditions/path-components.js'
import { RadixTrie } from '../../src/match/conditions/radix-trie.js'
import { FieldValues, InternedText } from '../../src/match/conditions/values.js'
import { atOnce, type Steps } from '../../src/match/steps.js'
import { seedOf } from '../support/seed.js'

const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'))
const letters = (minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom('a', 'b', 'c', '/', 'A'), minLength, maxLength })
const keysOf = (minLength: number) => fc.uniqueArray(letters(minLength, 7), { minLength: 1, maxLength: 8 })

/** The text stands in the midst of other bytes, which are keys' too. */
function found(
  walker: { walk(bytes: Uint8Array, start: number, end: number): void; found: Int32Array; foundCount: number },
  text: string,
): number[] {
  walker.walk(bytesOf(`abc${text}abc`), 3, 3 + text.length)
  return [...walker.found.subarray(0, walker.foundCount)].sort((a, b) => a - b)
}

const holding = (keys: readonly string[], holds: (key: string) => boolean) =>
  keys.flatMap((key, index) => (holds(key) ? [index] : []))

test('all keys in a text are found, whether it is skimmed first or not, in a table and over edges', () => {
  const keys = fc.oneof(keysOf(0), keysOf(1), keysOf(3), keysOf(5))
  fc.assert(
    fc.property(
      keys,
      fc.array(letters(0, 24), { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      (some, texts, isFolded) => {
        const own = isFolded ? [...new Set(some.map((key) => key.toLowerCase()))] : some
        for (const tableMaxCount of [1 << 20, 0]) {
          const automaton = atOnce(AhoCorasick.of(own, isFolded, tableMaxCount))
          for (const text of [...texts, ...own, own.join('')]) {
            const within = isFolded ? text.toLowerCase() : text
            assert.deepEqual(
              found(automaton, text),
              holding(own, (key) => within.includes(key)),
              text,
            )
          }
        }
      },
    ),
    seedOf(400),
  )
})

test('all keys at the front or the end of a text are found, and the one that it is', () => {
  fc.assert(
    fc.property(
      keysOf(0),
      fc.array(letters(0, 9), { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      (keys, texts, isEnd) => {
        const trie = atOnce(RadixTrie.of(keys, isEnd))
        for (const text of [...texts, ...keys]) {
          const at = (key: string) => (isEnd ? text.endsWith(key) : text.startsWith(key))
          assert.deepEqual(found(trie, text), holding(keys, at), text)
          assert.equal(trie.exact, keys.indexOf(text))
        }
      },
    ),
    seedOf(400),
  )
})

test('a path of which no component is literal, and one of no components, hit whatever the text starts with', () => {
  assert.deepEqual(found(new PathComponents(['srv/a', 'b*']), '//srv/a/x'), [0])
  assert.deepEqual(found(new PathComponents(['srv/a', 'b*']), 'bin/x'), [1])
  assert.deepEqual(found(new PathComponents(['srv/a', '']), '/etc'), [1])
  assert.deepEqual(found(new PathComponents(['srv/a']), '/'), [])
})

test('values beyond the room that there is stay beside those before them', () => {
  const values = new FieldValues()
  for (let at = 0; at < 40; at++) {
    values.addWide(at - 20, 4_294_967_295 - at)
    assert.deepEqual(
      [values.high[0], values.low[0], values.high[at], values.low[at]],
      [-20, 4_294_967_295, at - 20, 4_294_967_295 - at],
    )
  }
  values.clear()
  const text = new InternedText(bytesOf('text'))
  for (let at = 0; at < 90; at++) {
    if (at % 2 === 0) values.addBytes(bytesOf('bytes'), 1, 3)
    else values.addText(text)
  }
  assert.deepEqual([values.count, values.starts[88], values.ends[88], values.texts[88]], [90, 1, 3, undefined])
  assert.deepEqual([values.texts[1], values.texts[89], values.ends[89]], [text, text, 4])
})

test('a text tells the answers of many operands and of several programs apart', () => {
  const text = new InternedText(bytesOf('text'))
  const owners = [{}, {}]
  for (const [number, owner] of [...owners, ...owners].entries()) {
    assert.equal(text.recall(owner, 0), undefined, 'of another program')
    for (let operand = 0; operand < 40; operand++) {
      assert.equal(text.recall(owner, operand), undefined)
      const hits = Int32Array.of(number, operand)
      text.remember(owner, operand, hits)
      assert.equal(text.recall(owner, operand), hits)
    }
    // bounded: the first stays, and the last ones
    assert.deepEqual(text.recall(owner, 0), Int32Array.of(number, 0))
    assert.equal([...Array(40).keys()].filter((operand) => text.recall(owner, operand) !== undefined).length, 17)
  }
})

function stepsOf(steps: Steps<unknown>): number {
  for (let count = 0; ; count++) if (steps.next().done === true) return count
}

test('indexes of thousands of entries are made in many steps', () => {
  const keys = Array.from({ length: 4_000 }, (_, own) => `/a/${own}`)
  assert.ok(stepsOf(RadixTrie.of(keys, true)) > 10)
  assert.ok(stepsOf(AhoCorasick.of(keys, false)) > 10)
})
