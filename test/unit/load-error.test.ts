/** src/sensor/load-error.ts: what is said of a program that the kernel does not load. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explainLoadError, verifiersReason } from '../../src/sensor/load-error.js'

const EACCES = 13
const REFUSED = `libbpf: prog 'on_exec': BPF program load failed: Permission denied
libbpf: prog 'on_exec': -- BEGIN PROG LOAD LOG --
0: R1=ctx() R10=fp0
combined stack size of 7 calls is 544. Too large
processed 937 insns (limit 1000000) max_states_per_insn 0
-- END PROG LOAD LOG --
libbpf: prog 'on_exec': failed to load: -13`

const native = (log: string) => Object.assign(new Error('Permission denied'), { errno: EACCES, code: 'native', log })

test('a program that the verifier refuses is told with its reason, not as a lack of permissions', () => {
  assert.equal(verifiersReason(REFUSED), 'combined stack size of 7 calls is 544. Too large')
  const error = explainLoadError('load the BPF object', native(REFUSED))
  assert.equal(error.errorName, 'probe_load_failed')
  assert.match(error.message, /combined stack size of 7 calls is 544/)
})

test('a refusal without the verifier is one of permissions', () => {
  const log = 'libbpf: Error in bpf_object__probe_loading(): Permission denied(13).'
  assert.equal(verifiersReason(log), undefined)
  assert.equal(explainLoadError('load the BPF object', native(log)).errorName, 'not_permitted')
})
