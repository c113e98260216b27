import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deathOf, placeOf } from '../support/vm.js'

const OOPS = `[    7.012345] BUG: unable to handle page fault for address: ffffffffffffff80
[    7.012346] RIP: 0010:pick_next_task_fair+0x1a/0x40
[    7.012347] RDX: 0000000000000000 RSI: 0000000000000001`
const FACTS = '{"kernel":"6.12.1","hierarchy":"v2"}\n{"check":"every base hook attached","ok":true,"detail":""}\n'

test('a guest whose kernel says that it died, died, before or after its program began', () => {
  assert.match(deathOf(OOPS) ?? '', /page fault/)
  assert.match(deathOf(`${FACTS}${OOPS}`) ?? '', /page fault/)
  assert.match(deathOf('[ 1.0] Kernel panic - not syncing: Attempted to kill init!') ?? '', /Attempted to kill init/)
})

test('a guest that never began its program died too; one that began and stopped without a word did not', () => {
  assert.match(deathOf('SeaBIOS') ?? '', /nothing from the guest/)
  assert.equal(deathOf(FACTS), undefined)
})

test('a death on arm64 is one, at the place that its trace names', () => {
  const oops = `[    9.1] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010
[    9.2] Internal error: Oops: 0000000096000004 [#1] SMP
[    9.3] pc : __fget_light+0x28/0x120
[    9.4] lr : do_sys_poll+0x1c0/0x400
`
  assert.match(deathOf(`${FACTS}${oops}`) ?? '', /96000004/)
  assert.equal(placeOf(deathOf(oops) ?? ''), '__fget_light+0x28/0x120')
})

test('two deaths at one place are told from two at different places', () => {
  const elsewhere = OOPS.replace('pick_next_task_fair', 'text_poke')
  assert.equal(placeOf(deathOf(OOPS) ?? ''), placeOf(deathOf(`${FACTS}${OOPS}`) ?? ''))
  assert.notEqual(placeOf(OOPS), placeOf(elsewhere))
})
