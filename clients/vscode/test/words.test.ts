import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Generated, Model, Status } from '../src/protocol';
import { bytes, editsOf, isAtLeast, isOlder, label, nest, shortName, statusText, summary, versionIn } from '../src/words';

const model: Model = {
  id: 'local:qwen2.5-coder-1.5b-q8_0', title: 'Qwen2.5-Coder 1.5B', provider: 'local', parameters: '1.5B', quantization: 'q8_0', size: 1_646_573_056,
  licence: 'Apache-2.0', installed: false, active: false, fit: 'fits', why: '', tokensPerSecond: 30.4, state: 'available',
};

test('sizes are in the unit that people use', () => {
  assert.equal(bytes(0), '');
  assert.equal(bytes(12_745_600), '13 MB');
  assert.equal(bytes(1_646_573_056), '1.6 GB');
});

test('a model is told with its fit, size, speed, state and licence', () => {
  assert.equal(label(model), '$(pass) Qwen2.5-Coder 1.5B');
  assert.equal(summary(model), '1.6 GB · about 30 tokens/s · available · Apache-2.0');
});

test('a model without fill-in-the-middle tokens is marked', () => {
  assert.equal(summary({ ...model, continuesOnly: true }), '1.6 GB · about 30 tokens/s · available · continues only · Apache-2.0');
});

test('a model that is too big says so instead of being available', () => {
  assert.match(summary({ ...model, fit: 'too big', tokensPerSecond: 0 }), /1\.6 GB · too big · Apache-2\.0/);
  assert.match(label({ ...model, fit: 'too big' }), /circle-slash/);
});

test('the status bar names the model, and turns while it is busy', () => {
  const status: Status = { kind: 'ready', message: '', provider: 'local', model: 'local:bundled', busy: false };
  assert.equal(statusText(status), '$(sparkle) built in');
  assert.equal(statusText({ ...status, busy: true }), '$(sync~spin) built in');
  assert.equal(statusText({ ...status, kind: 'off' }), '$(circle-slash) infill');
  assert.equal(statusText(undefined), '$(debug-disconnect) infill');
  assert.equal(shortName('openai:gpt'), 'openai:gpt');
});

test('edits are found in both shapes of a workspace edit', () => {
  const edit = { range: { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } }, newText: 'x' };
  const generated = (shape: Generated['edit']): Generated => ({ id: '1', text: 'x', notes: [], edit: shape });
  assert.deepEqual(editsOf(generated({ changes: { 'file:///a': [edit] } })), [edit]);
  assert.deepEqual(editsOf(generated({ documentChanges: [{ edits: [edit] }] })), [edit]);
});

test('an older server is refused, an equal or newer one taken, and noise is no version', () => {
  assert.deepEqual(versionIn('infill 1.20.3\n'), [1, 20, 3]);
  assert.equal(versionIn('command not found'), undefined);
  assert.equal(isAtLeast([0, 1, 0], [0, 1, 0]), true);
  assert.equal(isAtLeast([0, 0, 9], [0, 1, 0]), false);
  assert.equal(isAtLeast([1, 0, 0], [0, 9, 9]), true);
});

test('a server that came before the extension is older, one that is newer or says no version is not', () => {
  assert.equal(isOlder('0.9.12', '0.10.0'), true);
  assert.equal(isOlder('0.10.0', '0.10.0'), false);
  assert.equal(isOlder('1.0.0', '0.10.0'), false);
  assert.equal(isOlder('unknown', '0.10.0'), false);
});

test('settings that somebody set travel as nested objects', () => {
  const set = {};
  nest(set, ['completion', 'maxTokens'], 96);
  nest(set, ['completion', 'multiline'], false);
  nest(set, ['enabled'], true);
  assert.deepEqual(set, { completion: { maxTokens: 96, multiline: false }, enabled: true });
});
