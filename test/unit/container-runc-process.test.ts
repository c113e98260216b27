import assert from 'node:assert/strict'
import { test } from 'node:test'
import { claimOfCreator, parseCommandLine } from '../../src/container/runc-process.js'

test('the command line of a runtime gives id, root and bundle, however the options are written', () => {
  const cases: [string, ReturnType<typeof parseCommandLine>][] = [
    ['runc run c1', { id: 'c1', root: undefined, bundle: undefined }],
    ['runc --root /run/x run --bundle /b c1', { id: 'c1', root: '/run/x', bundle: '/b' }],
    ['runc --root=/run/x create -b /b --pid-file p c1', { id: 'c1', root: '/run/x', bundle: '/b' }],
    ['runc -root /run/x run -bundle=/b -d c1', { id: 'c1', root: '/run/x', bundle: '/b' }],
    [
      'runc --root /var/run/docker/runtime-runc/moby --log /l --log-format json create --bundle /b --pid-file /p abc',
      { id: 'abc', root: '/var/run/docker/runtime-runc/moby', bundle: '/b' },
    ],
    ['runc --systemd-cgroup run --detach c1', { id: 'c1', root: undefined, bundle: undefined }],
  ]
  for (const [line, expected] of cases) assert.deepEqual(parseCommandLine(line.split(' ')), expected, line)
})

test('a call that makes no container, or names none, is no claim', () => {
  for (const line of [
    'runc',
    'runc start c1',
    'runc exec c1 sh',
    'runc init',
    'runc run',
    'runc run ../c1',
    'runc run a/b',
  ])
    assert.equal(parseCommandLine(line.split(' ')), undefined, line)
})

test('a process that is no runtime claims nothing, and neither does one that has ended', () => {
  const options = { procRoot: '/proc', hostRoot: '/', isInContainer: () => false }
  assert.equal(claimOfCreator(process.pid, '/some/cgroup', options), undefined)
  assert.equal(claimOfCreator(2 ** 30, '/some/cgroup', options), undefined)
})
