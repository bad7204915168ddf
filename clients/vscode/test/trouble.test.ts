import assert from 'node:assert/strict';
import { test } from 'node:test';
import { remedies } from '../src/trouble';

const titles = (error?: string): string[] => remedies(error).map(({ title }) => title);

test('every error has a button that helps, and the log', () => {
  assert.deepEqual(titles('UnknownModel'), ['Choose Model', 'Open Settings', 'Open Log']);
  assert.deepEqual(titles('ComputationCrashed'), ['Use the CPU', 'Rebuild', 'Open Log']);
  assert.deepEqual(titles('SettingsError'), ['Open Settings', 'Open Log']);
  assert.deepEqual(titles('SomethingNew'), ['Open Log']);
  assert.deepEqual(titles(), ['Open Log']);
});
