import assert from 'node:assert/strict';
import { test } from 'node:test';
import { History, remembered } from '../src/prompt';

test('Up walks to the oldest prompt and stays there, Down comes back to what was typed', () => {
  const history = new History(['first', 'second']);
  assert.equal(history.step(-1, 'typed'), 'second');
  assert.equal(history.step(-1, 'second'), 'first');
  assert.equal(history.step(-1, 'first'), undefined);
  assert.equal(history.step(1, 'first'), 'second');
  assert.equal(history.step(1, 'second'), 'typed');
  assert.equal(history.step(1, 'typed'), undefined);
});

test('a prompt is remembered once, the latest last, and an empty one not at all', () => {
  assert.deepEqual(remembered(['a', 'b'], 'a'), ['b', 'a']);
  assert.deepEqual(remembered(['a'], ''), ['a']);
  assert.equal(remembered(Array.from({ length: 50 }, (_, i) => String(i)), 'new').length, 50);
});
