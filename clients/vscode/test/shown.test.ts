import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Shown } from '../src/shown';

test('a suggestion that is typed through is counted once, and another one again', () => {
  const shown = new Shown();
  assert.deepEqual(['first + second', 'irst + second', 'second', 'third', 'third'].map((text) => shown.isNew(text)), [true, false, false, true, false]);
});
