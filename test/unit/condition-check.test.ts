/** Types of conditions: which operators go with which fields, and which values with which types. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lines, loadTexts, ruleText } from '../support/falco-files.js'

function errorsOf(condition: string): string[] {
  return lines(loadTexts(ruleText(JSON.stringify(`evt.type = execve and (${condition})`))), 'error').map((line) =>
    line.replace(/^\S+ /, ''),
  )
}
/** Errors of the language: that the probes lack a field is another matter. */
function faultsOf(condition: string): string[] {
  return errorsOf(condition).filter((line) => !line.startsWith('HG3305'))
}

const OPERATORS =
  '= == != < <= > >= in intersects exists contains icontains startswith endswith glob iglob pmatch regex bcontains bstartswith'.split(
    ' ',
  )
const COMPARED = '= == != < <= > >= in intersects exists'
/** Field, a value of its type, the operators that go with it. */
const MATRIX: readonly [field: string, value: string, allowed: string][] = [
  ['proc.name', '7', `${COMPARED} contains icontains startswith endswith glob iglob pmatch regex`],
  ['proc.pid', '7', COMPARED],
  ['user.uid', '7', COMPARED],
  ['proc.duration', '7', COMPARED],
  ['fd.sport', '7', COMPARED],
  ['evt.is_open_read', 'true', '= == != in intersects exists'],
  ['evt.buffer', '77', '= == != in intersects exists contains startswith endswith bcontains bstartswith'],
  ['fd.sip', '10.0.0.7', '= == != in intersects exists'],
  ['fd.snet', '10.0.0.0/8', '= == != in intersects exists'],
  ['fd.types', 'file', 'in intersects exists'],
]
test('each type takes the operators of its row and refuses the others', () => {
  let caseCount = 0
  for (const [field, value, allowed] of MATRIX)
    for (const operator of OPERATORS) {
      const isList = operator === 'in' || operator === 'intersects' || operator === 'pmatch'
      // the syntax of the comparisons takes numbers only
      const right = operator === 'exists' ? '' : isList ? `(${value})` : /[<>]/.test(operator) ? '7' : value
      const faults = faultsOf(`${field} ${operator} ${right}`)
      const isAllowed = allowed.split(' ').includes(operator)
      assert.equal(faults.length, isAllowed ? 0 : 1, `${field} ${operator} ${right}: ${faults}`)
      if (!isAllowed) assert.match(faults[0] ?? '', /^HG3303 `\S+` does not go with/)
      caseCount++
    }
  assert.equal(caseCount, MATRIX.length * OPERATORS.length)
})

const CASES: readonly [condition: string, fault: RegExp | undefined][] = [
  ['proc.nmae = x', /^HG3302 there is no field `proc.nmae`/],
  ['user.uid = 0x10', /not a whole decimal number/],
  ['user.uid > 1.5', /not a whole decimal number/],
  ['user.uid = -1', /outside 0 to/],
  ['user.uid = 18446744073709551616', /outside 0 to/],
  ['proc.pid = -9223372036854775808', undefined],
  ['fd.sport = https', undefined],
  ['fd.sport = 65536', /outside 0 to 65535/],
  ['fd.sip = 10.0.0.0/8', /a network, not an address/],
  ['fd.snet = 10.1.2.3/8', undefined],
  ['fd.snet in (10.0.0.0/8, 300.0.0.0/8)', /`300.0.0.0\/8` is not an address or network/],
  ['fd.snet = oneof (10.0.0.0/8, 192.168.0.0/16)', undefined],
  ['proc.pid = oneof (1, 2)', /`= oneof` does not go with/],
  ['evt.is_open_read = 1', /neither `true` nor `false`/],
  ['proc.name = "a\\x00"', /NUL byte/],
  ['evt.buffer contains "a\\x00"', undefined],
  ['evt.buffer bcontains 123', /pairs of hexadecimal digits/],
  ['evt.buffer bcontains 12aB', undefined],
  [`proc.name = ${'x'.repeat(256)}`, /256 bytes, more than 255/],
  ['proc.name regex "(a"', /a `\(` is never closed/],
  ['proc.name regex tolower(proc.exe)', /is a fixed expression/],
  ['evt.type = execvee', /there is no event type `execvee`/],
  ['evt.type = val(proc.name)', /fixed names only/],
  ['proc.pid = val(proc.name)', /the right side is text, the left side a number/],
  ['proc.name = val(proc.pname)', undefined],
  ['proc.name = val(proc.aname)', /stands for several values/],
  ['proc.aname = oneof (a, b)', /needs a single value/],
  ['proc.aname[2] = oneof (a, b)', undefined],
  ['proc.aname[x] = a', /a number of generations/],
  ['proc.name[1] = a', /takes no argument/],
  ['evt.arg = a', /needs an argument/],
  ['tolower(proc.pid) = 1', /takes text, not a number/],
  ['len(proc.args) > 5', undefined],
  ['len(proc.args) contains 5', /does not go with/],
  ['getopt(proc.args, "ab:") intersects (a)', undefined],
  ['getopt(proc.args, "ab:")[b] startswith x', undefined],
  ['tolower(proc.name)[1] = x', /takes no argument in brackets/],
  ['b64(proc.args) contains x', undefined],
  ['concat(proc.name, "-", proc.exe) = x', undefined],
  ['proc.name in some_list', /^HG3304 there is no list `some_list`/],
  ['some_macro', /^HG3304 there is no macro `some_macro`/],
]
test('fields, values, transformers and names are checked, each with its reason', () => {
  for (const [condition, fault] of CASES) {
    const faults = faultsOf(condition)
    if (fault === undefined) assert.deepEqual(faults, [], condition)
    else {
      assert.equal(faults.length, 1, `${condition}: ${faults}`)
      assert.match(faults[0] ?? '', fault, condition)
    }
  }
})

test('what is valid but hardly meant is a warning', () => {
  const warningsOf = (condition: string) =>
    lines(loadTexts(`- list: shells\n  items: [sh]\n${ruleText(`evt.type = execve and ${condition}`)}`), 'warning')
  assert.match(warningsOf('proc.name = proc.pname').join(), /compared as a word, not as the field/)
  assert.match(warningsOf('proc.name = shells').join(), /compared as a word, not as the list/)
  assert.match(warningsOf('proc.name != anyof (a, b)').join(), /`!= anyof` is true of nearly every value/)
  assert.match(warningsOf('proc.name = oneof ()').join(), /false always/)
  assert.deepEqual(warningsOf('proc.name = "shells"'), [])
})
