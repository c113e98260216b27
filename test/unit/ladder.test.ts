/** src/sensor/ladder.ts: what is asked of the functions that opens come to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whyNotEach } from '../../src/sensor/ladder.js'

const [EPERM, EBADF, EISDIR, ENOSYS] = [-1, -9, -21, -38]

test('a function serves when it ran once for each call', () => {
  assert.equal(whyNotEach(4, [EISDIR, EISDIR, EISDIR, EISDIR]), '')
  assert.equal(whyNotEach(1, [EBADF]), '')
})

test('a function that some calls never come to, or that others come to as well, does not serve', () => {
  assert.match(whyNotEach(1, [EISDIR, EISDIR, EISDIR, EISDIR]), /^it ran 1 times for 4 calls/)
  assert.notEqual(whyNotEach(0, [EBADF]), '')
  assert.notEqual(whyNotEach(5, [EISDIR, EISDIR, EISDIR, EISDIR]), '')
})

test('a call that was turned away before the function, or may have been, need not have come to it', () => {
  assert.equal(whyNotEach(3, [EISDIR, EISDIR, EISDIR, ENOSYS]), '')
  assert.equal(whyNotEach(0, [EPERM]), '')
  assert.equal(whyNotEach(1, [EPERM]), '')
  assert.notEqual(whyNotEach(2, [EISDIR, EISDIR, EISDIR, ENOSYS]), '')
})
